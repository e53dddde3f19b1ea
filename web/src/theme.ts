// Before the first paint, so that a theme that was chosen never flashes: the one script that is not a module.
import { readTheme } from "./settings";

const chosen = readTheme();
if (chosen !== "auto") document.documentElement.dataset["theme"] = chosen;

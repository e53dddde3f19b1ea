// Opens a page of another origin in Chromium and has it take the tour. With TLS any certificate will do.
//
// usage: browser.mjs CHROMIUM PAGE_PORT URL TIMESTAMP_MS KIND…     one line of JSON a kind; `failed` where the browser refused
import fs from "node:fs";
import http from "node:http";
import { chromium } from "playwright-core";

const [executablePath, pagePort, url, timestampMs, ...kinds] = process.argv.slice(2);
const script = fs.readFileSync(new URL("./page.js", import.meta.url));
const server = http.createServer((request, response) => {
  const isScript = request.url === "/page.js";
  response.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html" });
  response.end(isScript ? script : '<!doctype html><title>a page</title><script src="/page.js"></script>');
});
await new Promise((listening) => server.listen(Number(pagePort), "127.0.0.1", listening));
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage({ ignoreHTTPSErrors: true });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  for (const [i, kind] of kinds.entries())
    console.log(JSON.stringify(await page.evaluate(([...given]) => take(...given), [kind, url, `${Number(timestampMs) + 10 * i}`])));
} finally {
  await browser.close();
  server.close();
}
process.exit(0);

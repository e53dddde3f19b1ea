package ping.metrics.store;

import java.util.List;
import ping.metrics.core.ClientRow;
import ping.metrics.core.DayRow;
import ping.metrics.core.WindowRow;

/**
 * What the store has of what was {@link Wanted}.
 *
 * @param wanted what was asked for
 * @param askedMs when, by the clock of who asked
 * @param window null: there is none, or none was wanted
 * @param day null: there is none, or none was wanted
 * @param client null: there is none, or none was wanted
 * @param recent the windows from {@code Windows.activityStartOf(askedMs)} on, where the activity
 *     was wanted
 * @param writtenUs the greatest WRITETIME of all of them; 0: none
 */
public record Found(
    Wanted wanted,
    long askedMs,
    WindowRow window,
    DayRow day,
    ClientRow client,
    List<WindowRow> recent,
    long writtenUs) {}

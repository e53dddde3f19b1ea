package ping.metrics.store;

import java.io.IOException;

/** The rows are another's now. */
public final class FencedException extends IOException {
  private static final long serialVersionUID = 1;

  /** Says whose. */
  public FencedException(String message) {
    super(message);
  }
}

package ping.metrics.core;

/** A record that is no event; the message is the reason that its dead letter carries. */
public final class MalformedEventException extends Exception {
  /** Of the reason. */
  public MalformedEventException(String reason) {
    super(
        reason, null, false, false); // thrown by the million when somebody sends rubbish: no stack
  }
}

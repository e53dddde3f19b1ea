package ping.metrics.store.cql;

import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * A store's URL, as pingd takes it: {@code
 * scylla://[USER[:PASSWORD]@]HOST[:PORT],…[/KEYSPACE][?NAME=VALUE&…]}.
 *
 * @param hosts HOST:PORT each
 * @param user null: none
 * @param password null: none
 * @param keyspace a name that needs no quotes
 * @param options datacenter, timeout, tls, tls_ca, tls_cert, tls_key
 */
public record CqlUrl(
    List<String> hosts, String user, String password, String keyspace, Map<String, String> options)
    implements Serializable {
  private static final String SCHEME = "scylla://";
  private static final String FORM = "expected scylla://HOST:PORT,…/KEYSPACE?NAME=VALUE";
  private static final Pattern HOST =
      Pattern.compile("(\\[[^\\]]+\\]|[^:\\[\\]/@?#\\s%\\\\]+)(:\\d{1,5})?");
  private static final Pattern KEYSPACE = Pattern.compile("[a-z][a-z0-9_]{0,47}");
  private static final List<String> OPTIONS =
      List.of(
          "datacenter",
          "replication",
          "keyspace_options",
          "tls",
          "tls_ca",
          "tls_cert",
          "tls_key",
          "timeout");

  /**
   * Reads a URL.
   *
   * @throws IllegalArgumentException with what is wrong, and never the password
   */
  public static CqlUrl parse(String url) {
    if (!url.startsWith(SCHEME)) {
      throw new IllegalArgumentException(FORM);
    }
    String rest = url.substring(SCHEME.length());
    int question = rest.indexOf('?');
    String query = question < 0 ? "" : rest.substring(question + 1);
    String server = question < 0 ? rest : rest.substring(0, question);
    int slash = server.indexOf('/');
    String keyspace =
        slash < 0 || slash + 1 == server.length() ? "metrics" : server.substring(slash + 1);
    server = slash < 0 ? server : server.substring(0, slash);
    int at = server.lastIndexOf('@');
    String user = null;
    String password = null;
    if (at >= 0) {
      String name = server.substring(0, at);
      int colon = name.indexOf(':');
      user = unescape(colon < 0 ? name : name.substring(0, colon), "the user");
      password = colon < 0 ? null : unescape(name.substring(colon + 1), "the password");
    }
    if (!KEYSPACE.matcher(keyspace).matches()) {
      throw wrong(keyspace, "keyspace (a-z, then a-z, 0-9 and _, 48 at most)");
    }
    return new CqlUrl(
        hostsOf(server.substring(at + 1)), user, password, keyspace, optionsOf(query));
  }

  private static List<String> hostsOf(String text) {
    List<String> hosts = new ArrayList<>();
    for (String host : text.split(",", -1)) {
      if (!HOST.matcher(host).matches()) {
        throw wrong(host, "HOST[:PORT]");
      }
      boolean hasPort = host.lastIndexOf(':') > host.lastIndexOf(']');
      int port = hasPort ? Integer.parseInt(host.substring(host.lastIndexOf(':') + 1)) : 9042;
      if (port < 1 || port > 65535) {
        throw wrong(host, "HOST[:PORT]");
      }
      hosts.add(hasPort ? host : host + ":9042");
    }
    return hosts;
  }

  private static Map<String, String> optionsOf(String query) {
    Map<String, String> options = new TreeMap<>();
    for (String option : query.isEmpty() ? new String[0] : query.split("&", -1)) {
      int equals = option.indexOf('=');
      String name = equals < 0 ? option : option.substring(0, equals);
      if (equals < 0 || !OPTIONS.contains(name)) {
        throw wrong(name, "option; there are " + String.join(", ", OPTIONS));
      }
      options.put(name, unescape(option.substring(equals + 1), name));
    }
    String timeout = options.getOrDefault("timeout", "5000");
    if (!timeout.matches("[1-9]\\d{0,5}") || Integer.parseInt(timeout) > 600_000) {
      throw wrong(timeout, "timeout (1 to 600000 milliseconds)");
    }
    String tls = options.getOrDefault("tls", "false");
    if (!tls.equals("true") && !tls.equals("false")) {
      throw wrong(tls, "tls (true or false)");
    }
    return options;
  }

  private static IllegalArgumentException wrong(String part, String what) {
    return new IllegalArgumentException("\"" + part + "\" is no " + what + "; " + FORM);
  }

  private static String unescape(String part, String what) {
    byte[] bytes = part.getBytes(StandardCharsets.UTF_8);
    byte[] plain = new byte[bytes.length];
    int size = 0;
    for (int i = 0; i < bytes.length; i++) {
      if (bytes[i] != '%') {
        plain[size++] = bytes[i];
        continue;
      }
      boolean digits =
          i + 2 < bytes.length
              && HexFormat.isHexDigit(bytes[i + 1])
              && HexFormat.isHexDigit(bytes[i + 2]);
      if (!digits) {
        throw new IllegalArgumentException(
            what + " has a % without two hexadecimal digits behind it");
      }
      plain[size++] =
          (byte) HexFormat.fromHexDigits(new String(bytes, i + 1, 2, StandardCharsets.US_ASCII));
      i += 2;
    }
    return new String(plain, 0, size, StandardCharsets.UTF_8);
  }

  /** Of one request. */
  public int timeoutMs() {
    return Integer.parseInt(options.getOrDefault("timeout", "5000"));
  }

  /** Whether TLS is spoken. */
  public boolean tls() {
    return options.getOrDefault("tls", "false").equals("true")
        || options.containsKey("tls_ca")
        || options.containsKey("tls_cert")
        || options.containsKey("tls_key");
  }

  /** Without the password. */
  @Override
  public String toString() {
    return SCHEME + String.join(",", hosts) + "/" + keyspace;
  }
}

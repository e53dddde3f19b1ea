package ping.metrics.store.cql;

import com.datastax.oss.driver.api.core.AllNodesFailedException;
import com.datastax.oss.driver.api.core.CqlSession;
import com.datastax.oss.driver.api.core.CqlSessionBuilder;
import com.datastax.oss.driver.api.core.DefaultConsistencyLevel;
import com.datastax.oss.driver.api.core.InvalidKeyspaceException;
import com.datastax.oss.driver.api.core.config.DefaultDriverOption;
import com.datastax.oss.driver.api.core.config.DriverConfigLoader;
import com.datastax.oss.driver.api.core.metadata.Node;
import java.io.FileInputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.time.Duration;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Connections to a cluster: one for all tasks of a process that use the same URL. */
final class Sessions {
  private static final Pattern PRIVATE_KEY =
      Pattern.compile("-----BEGIN PRIVATE KEY-----(.*?)-----END PRIVATE KEY-----", Pattern.DOTALL);
  private static final Map<CqlUrl, Shared> open = new HashMap<>();

  private static final class Shared {
    private final CqlSession session;
    private int users;

    Shared(CqlSession session) {
      this.session = session;
    }
  }

  private Sessions() {}

  /** The session, to be given back by {@link #release}. */
  static synchronized CqlSession acquire(CqlUrl url) throws IOException {
    Shared shared = open.get(url);
    if (shared == null) {
      shared = new Shared(connect(url));
      open.put(url, shared);
    }
    shared.users++;
    return shared.session;
  }

  static synchronized void release(CqlUrl url) {
    Shared shared = open.get(url);
    if (shared != null && --shared.users == 0) {
      open.remove(url);
      shared.session.close();
    }
  }

  /** A builder that knows all but the datacenter, which can be told it once. */
  private static CqlSessionBuilder builder(CqlUrl url) throws IOException {
    Duration timeout = Duration.ofMillis(url.timeoutMs());
    DriverConfigLoader config =
        DriverConfigLoader.programmaticBuilder()
            .withDuration(DefaultDriverOption.REQUEST_TIMEOUT, timeout)
            .withDuration(DefaultDriverOption.CONNECTION_INIT_QUERY_TIMEOUT, timeout)
            .withDuration(DefaultDriverOption.CONNECTION_SET_KEYSPACE_TIMEOUT, timeout)
            .withDuration(DefaultDriverOption.CONTROL_CONNECTION_TIMEOUT, timeout)
            .withString(
                DefaultDriverOption.REQUEST_CONSISTENCY,
                DefaultConsistencyLevel.LOCAL_QUORUM.name())
            .withString(
                DefaultDriverOption.REQUEST_SERIAL_CONSISTENCY,
                DefaultConsistencyLevel.LOCAL_SERIAL.name())
            .withString(DefaultDriverOption.PROTOCOL_VERSION, "V4")
            .withInt(DefaultDriverOption.CONNECTION_MAX_REQUESTS, 2048)
            .withBoolean(DefaultDriverOption.REQUEST_WARN_IF_SET_KEYSPACE, false)
            .build();
    CqlSessionBuilder builder = CqlSession.builder().withConfigLoader(config);
    for (String host : url.hosts()) {
      int colon = host.lastIndexOf(':');
      String name = host.substring(0, colon).replaceAll("[\\[\\]]", "");
      builder.addContactPoint(
          new InetSocketAddress(name, Integer.parseInt(host.substring(colon + 1))));
    }
    if (url.user() != null) {
      builder.withAuthCredentials(url.user(), url.password() == null ? "" : url.password());
    }
    if (url.tls()) {
      builder.withSslContext(tls(url));
    }
    return builder;
  }

  private static CqlSession connect(CqlUrl url) throws IOException {
    String datacenter = url.options().get("datacenter");
    try {
      return builder(url)
          .withLocalDatacenter(datacenter == null ? findDatacenter(url) : datacenter)
          .withKeyspace(url.keyspace())
          .build();
    } catch (InvalidKeyspaceException e) {
      throw new IOException(
          "store: there is no keyspace " + url.keyspace() + " in " + url + ": run pingctl migrate",
          e);
    } catch (AllNodesFailedException e) {
      throw new IOException("store: no node of " + url + " can be reached: " + e.getMessage(), e);
    } catch (RuntimeException e) {
      throw new IOException("store: " + url + ": " + e.getMessage(), e);
    }
  }

  /** Where there is just one, nobody has to name it. */
  private static String findDatacenter(CqlUrl url) throws IOException {
    try (CqlSession look = builder(url).withLocalDatacenter("datacenter1").build()) {
      Set<String> names = new TreeSet<>();
      for (Node node : look.getMetadata().getNodes().values()) {
        names.add(node.getDatacenter());
      }
      if (names.size() > 1) {
        throw new IOException(
            "store: the cluster has the datacenters "
                + names
                + ": add ?datacenter= with the near one to "
                + url);
      }
      return names.iterator().next();
    }
  }

  private static SSLContext tls(CqlUrl url) throws IOException {
    try {
      CertificateFactory certificates = CertificateFactory.getInstance("X.509");
      TrustManagerFactory trust =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      String authority = url.options().get("tls_ca");
      KeyStore trusted = authority == null ? null : emptyStore();
      if (authority != null) {
        int number = 0;
        for (Certificate one : read(certificates, authority)) {
          trusted.setCertificateEntry("ca" + number++, one);
        }
      }
      trust.init(trusted);
      KeyManagerFactory keys =
          KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
      String certificate = url.options().get("tls_cert");
      KeyStore own = emptyStore();
      if (certificate != null) {
        Certificate[] chain = read(certificates, certificate).toArray(new Certificate[0]);
        String keyFile = url.options().getOrDefault("tls_key", certificate);
        own.setKeyEntry("own", key(keyFile, chain[0]), new char[0], chain);
      }
      keys.init(own, new char[0]);
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
      return context;
    } catch (GeneralSecurityException e) {
      throw new IOException("store: TLS: " + e.getMessage(), e);
    }
  }

  private static KeyStore emptyStore() throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    return store;
  }

  private static Collection<? extends Certificate> read(
      CertificateFactory certificates, String file) throws GeneralSecurityException, IOException {
    try (FileInputStream input = new FileInputStream(file)) {
      return certificates.generateCertificates(input);
    }
  }

  private static PrivateKey key(String file, Certificate certificate)
      throws GeneralSecurityException, IOException {
    Matcher found = PRIVATE_KEY.matcher(Files.readString(Path.of(file)));
    if (!found.find()) {
      throw new IOException(
          "store: TLS: "
              + file
              + " holds no key in PKCS #8 without a password (-----BEGIN PRIVATE KEY-----); openssl pkcs8 -topk8 -nocrypt"
              + " makes one of it");
    }
    byte[] bytes = Base64.getMimeDecoder().decode(found.group(1));
    String algorithm = certificate.getPublicKey().getAlgorithm();
    return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(bytes));
  }
}

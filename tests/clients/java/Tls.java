import java.io.FileInputStream;
import java.net.InetAddress;
import java.security.KeyStore;
import java.security.Provider;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLServerSocket;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** Tls PROTOCOL CA.pem SERVER-CONFIG SERVER CLIENT-CONFIG CLIENT: both sides' keys are in tokens, and each verifies the other. */
class Tls {
    static SSLContext context(String config, String caFile) throws Exception {
        Provider token = Security.getProvider("SunPKCS11").configure(config);
        Security.addProvider(token);
        KeyStore keys = KeyStore.getInstance("PKCS11", token);
        keys.load(null, null);
        KeyManagerFactory managers = KeyManagerFactory.getInstance("PKIX");
        managers.init(keys, null);

        KeyStore trusted = KeyStore.getInstance("PKCS12");
        trusted.load(null, null);
        try (var in = new FileInputStream(caFile)) {
            trusted.setCertificateEntry("ca", CertificateFactory.getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(trusted);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(managers.getKeyManagers(), trust.getTrustManagers(), null);
        return context;
    }

    static String peer(SSLSocket socket) throws Exception {
        return ((X509Certificate) socket.getSession().getPeerCertificates()[0]).getSubjectX500Principal().getName();
    }

    public static void main(String[] args) throws Exception {
        String[] protocols = {args[0]};
        SSLContext server = context(args[2], args[1]);
        SSLContext client = context(args[4], args[1]);
        InetAddress loopback = InetAddress.getByName("127.0.0.1");
        try (SSLServerSocket listener = (SSLServerSocket) server.getServerSocketFactory().createServerSocket(0, 1, loopback)) {
            listener.setEnabledProtocols(protocols);
            listener.setNeedClientAuth(true);
            listener.setSoTimeout(30_000);
            CompletableFuture<String> served = CompletableFuture.supplyAsync(() -> {
                try (SSLSocket socket = (SSLSocket) listener.accept()) {
                    socket.setSoTimeout(30_000);
                    socket.getOutputStream().write(socket.getInputStream().read() + 1);
                    return peer(socket);
                } catch (Exception error) {
                    System.err.println("server: " + error);
                    throw new IllegalStateException(error);
                }
            });
            String met;
            int answer;
            try (SSLSocket socket = (SSLSocket) client.getSocketFactory().createSocket(loopback, listener.getLocalPort())) {
                socket.setSoTimeout(30_000);
                SSLParameters parameters = socket.getSSLParameters();
                parameters.setProtocols(protocols);
                socket.setSSLParameters(parameters);
                socket.getOutputStream().write(41);
                answer = socket.getInputStream().read();
                met = peer(socket);
                System.out.println(socket.getSession().getProtocol() + " " + socket.getSession().getCipherSuite());
            }
            String visitor = served.get(30, TimeUnit.SECONDS);
            System.out.println("server " + met + ", client " + visitor + ", answer " + answer);
            if (answer != 42 || !met.equals("CN=" + args[3]) || !visitor.equals("CN=" + args[5])) System.exit(1);
        }
    }
}

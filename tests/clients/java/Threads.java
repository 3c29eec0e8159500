import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.PublicKey;
import java.security.Security;
import java.security.Signature;
import java.security.spec.AlgorithmParameterSpec;
import java.security.spec.MGF1ParameterSpec;
import java.security.spec.PSSParameterSpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/** Threads CONFIG ALIAS PUBLIC.pem SCHEME...: 16 threads sign with the token's key. The JDK's providers verify with the service's public key. */
class Threads {
    static final int THREADS = 16;
    static final int TURNS = 3;

    record Scheme(String name, AlgorithmParameterSpec parameters) {}

    static Scheme scheme(String name) {
        return switch (name) {
            case "PSS-SHA256" -> new Scheme("RSASSA-PSS", new PSSParameterSpec("SHA-256", "MGF1", MGF1ParameterSpec.SHA256, 32, 1));
            case "PSS-SHA384" -> new Scheme("RSASSA-PSS", new PSSParameterSpec("SHA-384", "MGF1", MGF1ParameterSpec.SHA384, 48, 1));
            default -> new Scheme(name, null);
        };
    }

    public static void main(String[] args) throws Exception {
        Provider token = Security.getProvider("SunPKCS11").configure(args[0]);
        KeyStore store = KeyStore.getInstance("PKCS11", token);
        store.load(null, null);
        PrivateKey key = (PrivateKey) store.getKey(args[1], null);
        if (key.getEncoded() != null) throw new Exception("the private key can be exported");

        String pem = Files.readString(Path.of(args[2])).replaceAll("-----.*?-----", "");
        boolean rsa = key.getAlgorithm().equals("RSA");
        // The provider is named, so that the token's provider does not verify its own signatures.
        PublicKey publicKey = KeyFactory.getInstance(key.getAlgorithm(), rsa ? "SunRsaSign" : "SunEC")
                .generatePublic(new X509EncodedKeySpec(Base64.getMimeDecoder().decode(pem)));
        String verifier = rsa ? "SunRsaSign" : "SunEC";

        List<Scheme> schemes = new ArrayList<>();
        for (int i = 3; i < args.length; i++) schemes.add(scheme(args[i]));

        List<Callable<Integer>> tasks = new ArrayList<>();
        for (int thread = 0; thread < THREADS; thread++) {
            Random random = new Random(thread);
            Scheme scheme = schemes.get(thread % schemes.size());
            tasks.add(() -> {
                for (int turn = 0; turn < TURNS; turn++) {
                    byte[] data = new byte[random.nextInt(5000) + 1];
                    random.nextBytes(data);
                    int part = random.nextInt(data.length);

                    Signature signer = Signature.getInstance(scheme.name(), token);
                    if (scheme.parameters() != null) signer.setParameter(scheme.parameters());
                    signer.initSign(key);
                    signer.update(data, 0, part);
                    signer.update(data, part, data.length - part);
                    byte[] signature = signer.sign();

                    if (!verify(scheme, verifier, publicKey, data, signature)) throw new Exception(scheme.name() + ": the signature is wrong");
                    data[0] ^= 1;
                    if (verify(scheme, verifier, publicKey, data, signature)) throw new Exception(scheme.name() + ": the signature is also valid for other data");
                }
                return TURNS;
            });
        }
        var pool = Executors.newFixedThreadPool(THREADS, task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        });
        int count = 0;
        for (Future<Integer> result : pool.invokeAll(tasks, 60, TimeUnit.SECONDS)) count += result.get();
        System.out.println(count + " signatures");
        if (count != THREADS * TURNS) System.exit(1);
    }

    static boolean verify(Scheme scheme, String provider, PublicKey key, byte[] data, byte[] signature) throws Exception {
        Signature verifier = Signature.getInstance(scheme.name(), provider);
        if (scheme.parameters() != null) verifier.setParameter(scheme.parameters());
        verifier.initVerify(key);
        verifier.update(data);
        return verifier.verify(signature);
    }
}

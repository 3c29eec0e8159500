import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.Key;
import java.security.KeyFactory;
import java.security.KeyPairGenerator;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.Provider;
import java.security.ProviderException;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Security;
import java.security.Signature;
import java.security.interfaces.ECPublicKey;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import java.util.Base64;
import java.util.Random;
import javax.crypto.Cipher;
import javax.crypto.KeyAgreement;
import javax.crypto.Mac;
import javax.crypto.SecretKey;
import javax.crypto.spec.SecretKeySpec;

/**
 * Uses CONFIG ALIAS decrypt|agree|verify PUBLIC.pem | mac FILE OUT | random: runs one operation with the token's key, and compares
 * the result with that of the JDK's providers and the service's public key. After the line "local" on standard error, `verify`
 * makes no request.
 */
class Uses {
    public static void main(String[] args) throws Exception {
        Provider token = Security.getProvider("SunPKCS11").configure(args[0]);
        Security.addProvider(token);
        KeyStore store = KeyStore.getInstance("PKCS11", token);
        store.load(null, null);
        Key key = store.getKey(args[1], null);
        switch (args[2]) {
            case "decrypt" -> decrypt(token, (PrivateKey) key, publicKey("RSA", args[3]));
            case "agree" -> agree(token, (PrivateKey) key, (ECPublicKey) publicKey("EC", args[3]));
            case "verify" -> verify(token, (PrivateKey) key, publicKey(key.getAlgorithm(), args[3]));
            case "mac" -> mac(token, (SecretKey) key, Path.of(args[3]), Path.of(args[4]));
            case "random" -> random(token);
            default -> throw new IllegalArgumentException(args[2]);
        }
        System.out.println(args[2] + ": as it should be");
    }

    /** The provider is named, so that the token's provider does not verify its own results. */
    static PublicKey publicKey(String algorithm, String file) throws Exception {
        String pem = Files.readString(Path.of(file)).replaceAll("-----.*?-----", "");
        return KeyFactory.getInstance(algorithm, algorithm.equals("RSA") ? "SunRsaSign" : "SunEC")
                .generatePublic(new X509EncodedKeySpec(Base64.getMimeDecoder().decode(pem)));
    }

    static void right(boolean condition, String what) throws Exception {
        if (!condition) throw new Exception(what);
    }

    static void decrypt(Provider token, PrivateKey key, PublicKey publicKey) throws Exception {
        byte[] text = new byte[100];
        new Random(1).nextBytes(text);
        Cipher encrypting = Cipher.getInstance("RSA/ECB/PKCS1Padding", "SunJCE");
        encrypting.init(Cipher.ENCRYPT_MODE, publicKey);
        byte[] ciphertext = encrypting.doFinal(text);

        Cipher cipher = Cipher.getInstance("RSA/ECB/PKCS1Padding", token);
        cipher.init(Cipher.DECRYPT_MODE, key);
        right(Arrays.equals(cipher.doFinal(ciphertext), text), "another text");

        // The token can also encrypt.
        Cipher own = Cipher.getInstance("RSA/ECB/PKCS1Padding", token);
        own.init(Cipher.ENCRYPT_MODE, publicKey);
        cipher.init(Cipher.DECRYPT_MODE, key);
        right(Arrays.equals(cipher.doFinal(own.doFinal(text)), text), "another text, encrypted by the token");

        // A session key, as in TLS 1.2 and CMS.
        Cipher wrapping = Cipher.getInstance("RSA/ECB/PKCS1Padding", "SunJCE");
        wrapping.init(Cipher.WRAP_MODE, publicKey);
        byte[] wrapped = wrapping.wrap(new SecretKeySpec(Arrays.copyOf(text, 32), "AES"));
        cipher.init(Cipher.UNWRAP_MODE, key);
        Key unwrapped = cipher.unwrap(wrapped, "AES", Cipher.SECRET_KEY);
        right(Arrays.equals(unwrapped.getEncoded(), Arrays.copyOf(text, 32)), "another key");

        ciphertext[20] ^= 1;
        cipher.init(Cipher.DECRYPT_MODE, key);
        boolean refused = false;
        try {
            refused = !Arrays.equals(cipher.doFinal(ciphertext), text);
        } catch (GeneralSecurityException | ProviderException error) {
            refused = true;
        }
        right(refused, "a changed ciphertext decrypts to the text");
    }

    static void agree(Provider token, PrivateKey key, ECPublicKey publicKey) throws Exception {
        KeyPairGenerator generator = KeyPairGenerator.getInstance("EC", "SunEC");
        generator.initialize(publicKey.getParams());
        var own = generator.generateKeyPair();

        KeyAgreement here = KeyAgreement.getInstance("ECDH", token);
        here.init(key);
        here.doPhase(own.getPublic(), true);
        byte[] secret = here.generateSecret();

        KeyAgreement there = KeyAgreement.getInstance("ECDH", "SunEC");
        there.init(own.getPrivate());
        there.doPhase(publicKey, true);
        right(Arrays.equals(secret, there.generateSecret()), "another secret");

        here.init(key);
        here.doPhase(generator.generateKeyPair().getPublic(), true);
        right(!Arrays.equals(secret, here.generateSecret()), "the same secret with another");
    }

    static void verify(Provider token, PrivateKey key, PublicKey publicKey) throws Exception {
        byte[] data = new byte[5000];
        new Random(2).nextBytes(data);
        String scheme = key.getAlgorithm().equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA";
        Signature signer = Signature.getInstance(scheme, token);
        signer.initSign(key);
        signer.update(data);
        byte[] signature = signer.sign();
        String jdk = key.getAlgorithm().equals("RSA") ? "SunRsaSign" : "SunEC";
        verified(jdk, scheme, publicKey, data, signature);

        System.err.println("local");
        verified(token.getName(), scheme, publicKey, data, signature);

        // A key that does not exist in the service.
        var stranger = KeyPairGenerator.getInstance(key.getAlgorithm(), jdk).generateKeyPair();
        Signature other = Signature.getInstance(scheme, jdk);
        other.initSign(stranger.getPrivate());
        other.update(data);
        byte[] theirs = other.sign();
        verified(token.getName(), scheme, stranger.getPublic(), data, theirs);
        right(!verifies(token.getName(), scheme, publicKey, data, theirs), "another key's signature verified");
    }

    static void verified(String provider, String scheme, PublicKey key, byte[] data, byte[] signature) throws Exception {
        right(verifies(provider, scheme, key, data, signature), provider + ": not verified");
        right(!verifies(provider, scheme, key, Arrays.copyOf(data, 4999), signature), provider + ": verified for other data");
    }

    static boolean verifies(String provider, String scheme, PublicKey key, byte[] data, byte[] signature) throws Exception {
        Signature verifier = Signature.getInstance(scheme, provider);
        verifier.initVerify(key);
        verifier.update(data);
        return verifier.verify(signature);
    }

    static void mac(Provider token, SecretKey key, Path file, Path out) throws Exception {
        byte[] data = Files.readAllBytes(file);
        Mac mac = Mac.getInstance(out.getFileName().toString().replace(".mac", ""), token);
        mac.init(key);
        mac.update(data, 0, 10);
        mac.update(data, 10, data.length - 10);
        byte[] made = mac.doFinal();
        right(MessageDigest.isEqual(made, mac.doFinal(data)), "not the same twice");
        right(!MessageDigest.isEqual(made, mac.doFinal(Arrays.copyOf(data, 20))), "the same for other data");
        Files.write(out, made);
    }

    static void random(Provider token) throws Exception {
        SecureRandom random = SecureRandom.getInstance("PKCS11", token);
        byte[] one = new byte[2000], two = new byte[2000];
        random.nextBytes(one);
        random.nextBytes(two);
        right(!Arrays.equals(one, two), "the same bytes twice");
    }
}

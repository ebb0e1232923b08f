import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/**
 * Which arm of a rollout an event belongs to, as Penstock computes it. Copy {@link #pointOf} and {@link #armAt} into your
 * own code; they need the JDK alone.
 *
 * <p>As a program ({@code java RolloutAssignment.java}) it reads lines of four fields with tabs between them: the salt,
 * the key in hexadecimal or {@code null}, the event's id, and the intervals as {@code arm=end} with commas between them.
 * For each it prints the point and the arm, with a tab between.
 */
public final class RolloutAssignment {
    private RolloutAssignment() {}

    /** Returns an event's point, from 0 to before 2^32. The key is the Kafka record's, and may be null. */
    static long pointOf(String salt, byte[] key, String eventId) {
        MessageDigest sha256;
        try {
            sha256 = MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
        sha256.update(salt.getBytes(StandardCharsets.UTF_8));
        sha256.update((byte) 0);
        sha256.update(key == null ? eventId.getBytes(StandardCharsets.UTF_8) : key);
        return Integer.toUnsignedLong(ByteBuffer.wrap(sha256.digest()).getInt());
    }

    /** Returns the arm of the first interval that ends above the point. */
    static String armAt(long point, String[] arms, long[] ends) {
        for (int i = 0; i < arms.length; i++) {
            if (point < ends[i]) {
                return arms[i];
            }
        }
        throw new IllegalArgumentException("the last interval must end at 2^32");
    }

    public static void main(String[] args) throws IOException {
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        StringBuilder answers = new StringBuilder();
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            String[] fields = line.split("\t", -1);
            String[] intervals = fields[3].split(",");
            String[] arms = new String[intervals.length];
            long[] ends = new long[intervals.length];
            for (int i = 0; i < intervals.length; i++) {
                int equals = intervals[i].lastIndexOf('=');
                arms[i] = intervals[i].substring(0, equals);
                ends[i] = Long.parseLong(intervals[i].substring(equals + 1));
            }
            byte[] key = fields[1].equals("null") ? null : HexFormat.of().parseHex(fields[1]);
            long point = pointOf(fields[0], key, fields[2]);
            answers.append(point).append('\t').append(armAt(point, arms, ends)).append('\n');
        }
        System.out.write(answers.toString().getBytes(StandardCharsets.UTF_8));
        System.out.flush();
    }
}

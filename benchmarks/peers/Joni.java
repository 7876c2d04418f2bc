import java.io.*;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.jcodings.specific.UTF8Encoding;
import org.joni.*;

/** What Joni, the engine of Logstash's grok, needs of CPU for a bare match: microseconds per line, on standard output. */
public class Joni {
    public static void main(String[] args) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        byte[] pattern = in.readLine().getBytes(StandardCharsets.UTF_8);
        List<byte[]> lines = new ArrayList<>();
        for (String line; (line = in.readLine()) != null; ) lines.add(line.getBytes(StandardCharsets.UTF_8));
        Regex compiled = new Regex(pattern, 0, pattern.length, Option.MULTILINE, UTF8Encoding.INSTANCE, Syntax.RUBY);
        for (int round = 0; round < 5; round++) match(compiled, lines); // the compiler's time is not the engine's
        long before = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime();
        match(compiled, lines);
        long spent = ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime() - before;
        System.out.printf(Locale.ROOT, "%.3f%n", spent / 1e3 / lines.size());
    }

    static void match(Regex compiled, List<byte[]> lines) {
        for (byte[] line : lines)
            if (compiled.matcher(line).search(0, line.length, Option.DEFAULT) < 0) throw new IllegalStateException();
    }
}

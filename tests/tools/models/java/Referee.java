import java.io.*;
import java.nio.charset.StandardCharsets;
import java.util.*;
import org.jcodings.specific.UTF8Encoding;
import org.joda.time.*;
import org.joda.time.format.*;
import org.joni.*;

/** Answers lines from standard input: what Joni finds by an expression, what joda-time reads by a pattern. */
public class Referee {
    public static void main(String[] args) throws IOException {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), true, "UTF-8");
        for (String line; (line = in.readLine()) != null; ) {
            String[] parts = line.split("\t", -1);
            String second = plain(parts[1]), third = plain(parts[2]);
            String answer;
            try {
                answer = parts[0].equals("regex") ? regex(second, third) : date(second, third, parts[3]);
            } catch (Throwable error) {
                answer = "error";
            }
            out.println(answer);
        }
    }

    static String plain(String hex) {
        byte[] bytes = new byte[hex.length() / 2];
        for (int i = 0; i < bytes.length; i++) bytes[i] = (byte) Integer.parseInt(hex.substring(2 * i, 2 * i + 2), 16);
        return new String(bytes, StandardCharsets.UTF_8);
    }

    static String hex(byte[] bytes, int begin, int end) {
        StringBuilder found = new StringBuilder();
        for (int i = begin; i < end; i++) found.append(String.format("%02x", bytes[i]));
        return found.toString();
    }

    static String regex(String expression, String text) {
        byte[] pattern = expression.getBytes(StandardCharsets.UTF_8), bytes = text.getBytes(StandardCharsets.UTF_8);
        Regex compiled = new Regex(pattern, 0, pattern.length, Option.MULTILINE, UTF8Encoding.INSTANCE, Syntax.RUBY);
        Matcher matcher = compiled.matcher(bytes);
        if (matcher.search(0, bytes.length, Option.DEFAULT) < 0) return "none";
        StringBuilder found = new StringBuilder("=" + hex(bytes, matcher.getBegin(), matcher.getEnd()));
        Region region = matcher.getRegion();
        if (compiled.numberOfNames() > 0)
            for (Iterator<NameEntry> names = compiled.namedBackrefIterator(); names.hasNext(); ) {
                NameEntry entry = names.next();
                String name = new String(entry.name, entry.nameP, entry.nameEnd - entry.nameP, StandardCharsets.UTF_8);
                for (int group : entry.getBackRefs()) {
                    int begin = region.getBeg(group);
                    found.append(" ").append(group).append(begin < 0 ? "-" : "=" + hex(bytes, begin, region.getEnd(group)));
                }
            }
        return found.toString();
    }

    static String date(String pattern, String text, String zone) {
        DateTimeFormatter format;
        if (pattern.equals("ISO8601")) {
            DateTimeParser[] parsers = {
                ISODateTimeFormat.dateTimeParser().getParser(),
                DateTimeFormat.forPattern("yyyy-MM-dd HH:mm:ss.SSSZ").getParser(),
                DateTimeFormat.forPattern("yyyy-MM-dd HH:mm:ss.SSS").getParser(),
                DateTimeFormat.forPattern("yyyy-MM-dd HH:mm:ss,SSSZ").getParser(),
                DateTimeFormat.forPattern("yyyy-MM-dd HH:mm:ss,SSS").getParser(),
            };
            format = new DateTimeFormatterBuilder().append(null, parsers).toFormatter();
        } else {
            format = DateTimeFormat.forPattern(pattern);
        }
        format = format.withLocale(Locale.ENGLISH).withZone(DateTimeZone.forID(zone));
        try {
            return String.valueOf(format.parseMillis(text));
        } catch (IllegalArgumentException error) {
            return "none";
        }
    }
}

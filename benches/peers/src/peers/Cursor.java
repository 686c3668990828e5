package peers;

import java.nio.charset.StandardCharsets;

/** Reads Avro's binary encoding where it lies; a text is left in place as {@link #from} and {@link #to}. */
final class Cursor {
    byte[] bytes;
    int at;
    /** Of the text read last, surrounding blanks taken off by {@link #trim}. */
    int from;
    int to;

    void open(byte[] value, int start) {
        bytes = value;
        at = start;
    }

    long number() {
        long folded = 0;
        int shift = 0;
        byte next;
        do {
            next = bytes[at++];
            folded |= (long) (next & 0x7f) << shift;
            shift += 7;
        } while (next < 0);
        return folded >>> 1 ^ -(folded & 1);
    }

    boolean flag() {
        return bytes[at++] != 0;
    }

    /** Whether an optional field has a value, which comes next. */
    boolean present() {
        return bytes[at++] != 0;
    }

    void text() {
        int length = (int) number();
        from = at;
        at += length;
        to = at;
    }

    /** An optional text; whether it holds anything but blanks. */
    boolean optionalText() {
        if (!present()) {
            from = to = at;
            return false;
        }
        text();
        return trim();
    }

    void skipText() {
        int length = (int) number();
        at += length;
    }

    void skipOptionalText() {
        if (present()) {
            skipText();
        }
    }

    void skipOptionalNumber() {
        if (present()) {
            number();
        }
    }

    /** Takes surrounding blanks off; whether anything is left. */
    boolean trim() {
        while (from < to && bytes[from] <= ' ' && bytes[from] >= 0) {
            from++;
        }
        while (from < to && bytes[to - 1] <= ' ' && bytes[to - 1] >= 0) {
            to--;
        }
        return from < to;
    }

    boolean is(byte[] text) {
        return java.util.Arrays.equals(bytes, from, to, text, 0, text.length);
    }

    String string() {
        return new String(bytes, from, to - from, StandardCharsets.UTF_8);
    }

    static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }
}

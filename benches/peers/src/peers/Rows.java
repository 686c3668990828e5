package peers;

/**
 * The rows that a change is added to, at four levels. A row's key: day 4 | dimensions 2 | level 1 | codes; its value: the count,
 * 8 bytes, none where it has come to nothing.
 */
final class Rows {
    /** Takes the key of a row. */
    interface Out {
        void take(byte[] row);
    }

    private static final int CODES = 6;
    private static final byte[] ENGLAND = {};

    private Rows() {}

    static void of(byte[] delta, Out out) {
        int from = CODES;
        for (char level : new char[] {'s', 'i', 'r'}) {
            int to = from;
            while (to < delta.length && delta[to] != '\n') {
                to++;
            }
            out.take(row(delta, level, delta, from, to));
            from = to + 1;
        }
        out.take(row(delta, 'e', ENGLAND, 0, 0));
    }

    private static byte[] row(byte[] delta, char level, byte[] codes, int from, int to) {
        byte[] row = new byte[CODES + 1 + to - from];
        System.arraycopy(delta, 0, row, 0, CODES);
        row[CODES] = (byte) level;
        System.arraycopy(codes, from, row, CODES + 1, to - from);
        return row;
    }
}

package peers;

/** Sums by a number of 63 bits; open addressing, at most half full. */
final class Sums {
    /** Takes what a sum has come to. */
    interface Out {
        void take(long key, long sum);
    }

    private static final long TAKEN = 1L << 63;

    private long[] keys = new long[1 << 10];
    private long[] sums = new long[1 << 10];
    private int size;

    void add(long key, long change) {
        int slot = slot(key, keys);
        if (keys[slot] == 0) {
            if (++size * 2 > keys.length) {
                grow();
                slot = slot(key, keys);
            }
            keys[slot] = key | TAKEN;
        }
        sums[slot] += change;
    }

    /** 0 where nothing was added. */
    long get(long key) {
        return sums[slot(key, keys)];
    }

    boolean isEmpty() {
        return size == 0;
    }

    /** Hands over every sum that is not 0, and forgets all. */
    void drain(Out out) {
        if (size == 0) {
            return;
        }
        for (int slot = 0; slot < keys.length; slot++) {
            if (sums[slot] != 0) {
                out.take(keys[slot] & ~TAKEN, sums[slot]);
            }
        }
        java.util.Arrays.fill(keys, 0);
        java.util.Arrays.fill(sums, 0);
        size = 0;
    }

    private static int slot(long key, long[] keys) {
        int slot = (int) (key * 0x9E37_79B9_7F4A_7C15L >>> 33) & keys.length - 1;
        while (keys[slot] != 0 && keys[slot] != (key | TAKEN)) {
            slot = slot + 1 & keys.length - 1;
        }
        return slot;
    }

    private void grow() {
        long[] oldKeys = keys;
        long[] oldSums = sums;
        keys = new long[oldKeys.length * 2];
        sums = new long[oldKeys.length * 2];
        for (int slot = 0; slot < oldKeys.length; slot++) {
            if (oldKeys[slot] != 0) {
                int to = slot(oldKeys[slot] & ~TAKEN, keys);
                keys[to] = oldKeys[slot];
                sums[to] = oldSums[slot];
            }
        }
    }
}

package peers;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/** 128 bits of an identity: supplier, id space, practice, id. */
final class Fingerprint {
    private static final VarHandle LONG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);
    private static final VarHandle BIG = MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.BIG_ENDIAN);

    long high;
    long low;

    void start(int supplierAndSpace, long practice) {
        high = supplierAndSpace * 0x9E37_79B9_7F4A_7C15L;
        low = supplierAndSpace * 0xC2B2_AE3D_27D4_EB4FL;
        take(practice);
    }

    void take(long word) {
        high = mix(high ^ word);
        low = mix(low + word * 0xD6E8_FEB8_6659_FD93L);
    }

    void take(byte[] bytes, int from, int to) {
        int at = from;
        for (; at + 8 <= to; at += 8) {
            take((long) LONG.get(bytes, at));
        }
        long rest = to - from;
        for (; at < to; at++) {
            rest = rest << 8 | bytes[at] & 0xff;
        }
        take(rest);
    }

    /** The finaliser of MurmurHash3. */
    private static long mix(long word) {
        long mixed = (word ^ word >>> 33) * 0xFF51_AFD7_ED55_8CCDL;
        mixed = (mixed ^ mixed >>> 33) * 0xC4CE_B9FE_1A85_EC53L;
        return mixed ^ mixed >>> 33;
    }

    static byte[] bytes(long high, long low) {
        byte[] key = new byte[16];
        BIG.set(key, 0, high);
        BIG.set(key, 8, low);
        return key;
    }

    static void put(byte[] into, int at, long word) {
        BIG.set(into, at, word);
    }

    static long get(byte[] from, int at) {
        return (long) BIG.get(from, at);
    }
}

package peers;

import java.nio.charset.StandardCharsets;

/**
 * What signed changes come to until they are handed over, by place, day and dimensions, and their encoding:
 *
 * <pre>
 * key     day 4 | dimensions 2 | codes of sub-ICB, ICB and region, a line each
 * value   change 8
 * </pre>
 */
final class Deltas implements Slots.Out {
    /** Takes an encoded change. */
    interface Sink {
        void send(byte[] key, byte[] value);
    }

    private final Reference reference;
    private final Sums sums = new Sums();

    Deltas(Reference reference) {
        this.reference = reference;
    }

    @Override
    public void add(int place, int day, int dimensions, int sign) {
        sums.add((long) place << 42 | (long) day << 10 | dimensions, sign);
    }

    void drain(Sink sink) {
        sums.drain((packed, change) -> {
            byte[] key = key(reference.place((int) (packed >> 42)), (int) (packed >> 10), (int) packed & 0x3ff);
            byte[] value = new byte[8];
            Fingerprint.put(value, 0, change);
            sink.send(key, value);
        });
    }

    static byte[] key(Reference.Place place, int day, int dimensions) {
        byte[] codes = (place.subIcb() + '\n' + place.icb() + '\n' + place.region()).getBytes(StandardCharsets.UTF_8);
        byte[] key = new byte[6 + codes.length];
        key[0] = (byte) (day >> 24);
        key[1] = (byte) (day >> 16);
        key[2] = (byte) (day >> 8);
        key[3] = (byte) day;
        key[4] = (byte) (dimensions >> 8);
        key[5] = (byte) dimensions;
        System.arraycopy(codes, 0, key, 6, codes.length);
        return key;
    }
}

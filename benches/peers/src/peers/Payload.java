package peers;

import java.util.Arrays;

/**
 * An admitted version as bytes:
 *
 * <pre>
 * kind 1 | version 8 | practice 8 | start 8 | HCP type 1 |  slot: state 1, booking 1, vaccination 1, mode 1, band 1
 *                                                          consultation: counts 1, link 1 [+ 16], id …
 * </pre>
 */
final class Payload {
    private static final int VERSION = 1;
    private static final int PRACTICE = 9;
    private static final int START = 17;
    private static final int HCP = 25;
    private static final int REST = 26;
    private static final int LINK = REST + 2;

    private Payload() {}

    static byte[] of(Version version, long practice) {
        int link = version.hasLink ? 16 : 0;
        byte[] payload = new byte[version.isConsultation ? LINK + link + version.idLength : REST + 5];
        payload[0] = (byte) (version.isConsultation ? 1 : 0);
        Fingerprint.put(payload, VERSION, version.version);
        Fingerprint.put(payload, PRACTICE, practice);
        Fingerprint.put(payload, START, version.start);
        payload[HCP] = (byte) version.hcp;
        if (version.isConsultation) {
            payload[REST] = (byte) (version.counts ? 1 : 0);
            payload[REST + 1] = (byte) (version.hasLink ? 1 : 0);
            if (version.hasLink) {
                Fingerprint.put(payload, LINK, version.linkHigh);
                Fingerprint.put(payload, LINK + 8, version.linkLow);
            }
            System.arraycopy(version.id, 0, payload, LINK + link, version.idLength);
        } else {
            payload[REST] = (byte) version.state;
            payload[REST + 1] = (byte) (version.hasBooking ? 1 : 0);
            payload[REST + 2] = (byte) (version.isCovidVaccination ? 1 : 0);
            payload[REST + 3] = (byte) version.mode;
            payload[REST + 4] = (byte) version.band;
        }
        return payload;
    }

    static long version(byte[] payload) {
        return Fingerprint.get(payload, VERSION);
    }

    /** The slot that a consultation is linked to, null for none. */
    static byte[] link(byte[] payload) {
        return payload[REST + 1] == 0 ? null : Arrays.copyOfRange(payload, LINK, LINK + 16);
    }

    /** Answers the practice's number. */
    static long read(byte[] payload, Version into) {
        into.isConsultation = payload[0] == 1;
        into.version = version(payload);
        into.start = Fingerprint.get(payload, START);
        into.hcp = payload[HCP];
        if (into.isConsultation) {
            into.counts = payload[REST] == 1;
            int id = LINK + (payload[REST + 1] == 0 ? 0 : 16);
            into.idLength = payload.length - id;
            System.arraycopy(payload, id, into.id, 0, into.idLength);
        } else {
            into.state = payload[REST];
            into.hasBooking = payload[REST + 1] == 1;
            into.isCovidVaccination = payload[REST + 2] == 1;
            into.mode = payload[REST + 3];
            into.band = payload[REST + 4];
        }
        return Fingerprint.get(payload, PRACTICE);
    }
}

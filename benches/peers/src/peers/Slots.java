package peers;

/**
 * The rules on state: the newest version wins, consultations say what their slot's version leaves open. State lies in two
 * key-value stores, whatever they are:
 *
 * <pre>
 * slot            version 8 | day 4 | marks 4 | consultations: start 8, HCP type 1, length of id 1, id …
 * consultation    version 8 | link 16, or nothing
 * </pre>
 */
final class Slots {
    /** Where state lies. */
    interface State {
        byte[] slot(byte[] key);

        void slot(byte[] key, byte[] value);

        byte[] consultation(byte[] key);

        void consultation(byte[] key, byte[] value);
    }

    /** Takes signed changes. */
    interface Out {
        void add(int place, int day, int dimensions, int sign);
    }

    private static final int DAY = 8;
    private static final int LISTED = 16;
    private static final int ID = 10;

    // Marks: a version is held, its booking, past, vaccination; then state 3, HCP type 2, mode 3, band 3 bits.
    private static final int HELD = 1;
    private static final int BOOKING = 2;
    private static final int PAST = 4;
    private static final int COVID = 8;
    private static final int STATE = 4;
    private static final int HCP = 7;
    private static final int MODE = 9;
    private static final int BAND = 12;

    private static final byte[] WAITING = new byte[LISTED];
    /** What is in no figure. */
    static final long NOTHING = -1;

    private final long now;
    private final State state;
    private final Out out;

    Slots(long now, State state, Out out) {
        this.now = now;
        this.state = state;
        this.out = out;
    }

    void take(Version version) {
        if (version.isConsultation) {
            takeConsultation(version);
        } else {
            takeSlot(version);
        }
    }

    private void takeSlot(Version version) {
        byte[] key = Fingerprint.bytes(version.high, version.low);
        byte[] old = state.slot(key);
        byte[] changed = newer(old, version, now);
        if (changed != null) {
            replace(key, version.practice, old, changed);
        }
    }

    /** The slot with a version in place of the one held; null where that is newer. */
    static byte[] newer(byte[] old, Version version, long now) {
        if (old != null && (marks(old) & HELD) != 0 && version.version < Fingerprint.get(old, 0)) {
            return null;
        }
        byte[] changed = old == null ? new byte[LISTED] : old.clone();
        Fingerprint.put(changed, 0, version.version);
        boolean isPast = Time.utc(version.start) < now;
        int marks = HELD | (version.hasBooking ? BOOKING : 0) | (isPast ? PAST : 0) | (version.isCovidVaccination ? COVID : 0)
            | version.state << STATE | version.hcp << HCP | version.mode << MODE | version.band << BAND;
        Fingerprint.put(changed, DAY, (long) version.day() << 32 | marks);
        return changed;
    }

    private void takeConsultation(Version version) {
        byte[] key = Fingerprint.bytes(version.high, version.low);
        byte[] old = state.consultation(key);
        if (old != null && version.version < Fingerprint.get(old, 0)) {
            return;
        }
        byte[] held = new byte[version.hasLink ? 24 : 8];
        Fingerprint.put(held, 0, version.version);
        if (version.hasLink) {
            Fingerprint.put(held, 8, version.linkHigh);
            Fingerprint.put(held, 16, version.linkLow);
        }
        state.consultation(key, held);
        boolean wasLinked = old != null && old.length > 8;
        boolean stays = wasLinked && version.hasLink
            && Fingerprint.get(old, 8) == version.linkHigh && Fingerprint.get(old, 16) == version.linkLow;
        if (wasLinked && !stays) {
            list(Fingerprint.bytes(Fingerprint.get(old, 8), Fingerprint.get(old, 16)), version, false);
        }
        if (version.hasLink) {
            list(Fingerprint.bytes(version.linkHigh, version.linkLow), version, version.counts);
        }
    }

    private void list(byte[] slot, Version version, boolean counts) {
        byte[] old = state.slot(slot);
        if (old != null || counts) {
            replace(slot, version.practice, old, listed(old, version, counts));
        }
    }

    /** Takes a consultation off a slot's list, then puts it there if it counts; the list is in the order of start, then id. */
    static byte[] listed(byte[] old, Version version, boolean counts) {
        byte[] from = old == null ? WAITING : old;
        byte[] changed = new byte[from.length + (counts ? ID + version.idLength : 0)];
        System.arraycopy(from, 0, changed, 0, LISTED);
        int to = LISTED;
        boolean isOpen = counts;
        for (int at = LISTED; at < from.length;) {
            int length = ID + (from[at + 9] & 0xff);
            int order = java.util.Arrays.compareUnsigned(from, at + ID, at + length, version.id, 0, version.idLength);
            if (order != 0) {
                int earlier = Long.compare(Fingerprint.get(from, at), version.start);
                if (isOpen && (earlier > 0 || earlier == 0 && order > 0)) {
                    to = write(version, changed, to);
                    isOpen = false;
                }
                System.arraycopy(from, at, changed, to, length);
                to += length;
            }
            at += length;
        }
        if (isOpen) {
            to = write(version, changed, to);
        }
        return to == changed.length ? changed : java.util.Arrays.copyOf(changed, to);
    }

    private static int write(Version version, byte[] into, int at) {
        Fingerprint.put(into, at, version.start);
        into[at + 8] = (byte) version.hcp;
        into[at + 9] = (byte) version.idLength;
        System.arraycopy(version.id, 0, into, at + ID, version.idLength);
        return at + ID + version.idLength;
    }

    /** A slot's key holds its practice: both versions are of the same. */
    private void replace(byte[] key, Reference.Practice practice, byte[] old, byte[] changed) {
        state.slot(key, changed);
        long stood = old == null ? NOTHING : figure(old);
        long stands = figure(changed);
        if (stood == stands) {
            return;
        }
        if (stood != NOTHING) {
            int day = (int) (stood >> 32);
            out.add(practice.placeOn(day), day, (int) stood, -1);
        }
        if (stands != NOTHING) {
            int day = (int) (stands >> 32);
            out.add(practice.placeOn(day), day, (int) stands, 1);
        }
    }

    private static int marks(byte[] slot) {
        return (int) Fingerprint.get(slot, DAY);
    }

    /** The day, and the dimensions of the figure that a slot adds one to: status 2, HCP type 2, mode 3, band 3 bits. */
    static long figure(byte[] slot) {
        long dayAndMarks = Fingerprint.get(slot, DAY);
        int marks = (int) dayAndMarks;
        if ((marks & (HELD | BOOKING | PAST | COVID)) != (HELD | BOOKING | PAST)) {
            return NOTHING;
        }
        boolean isConsulted = slot.length > LISTED;
        int held = marks >> STATE & 7;
        if (held < Version.BOOKED || held > Version.DNA) {
            return NOTHING;
        }
        int status = held == Version.DNA ? 1 : held == Version.ATTENDED || isConsulted ? 0 : 2;
        int hcp = marks >> HCP & 3;
        for (int at = LISTED; hcp == Version.HCP_MISSING && held != Version.DNA && at < slot.length;) {
            hcp = slot[at + 8];
            at += ID + (slot[at + 9] & 0xff);
        }
        if (hcp == Version.HCP_MISSING) {
            hcp = Version.HCP_UNKNOWN;
        }
        int dimensions = status << 8 | hcp << 6 | (marks >> MODE & 7) << 3 | marks >> BAND & 7;
        return dayAndMarks & 0xFFFF_FFFF_0000_0000L | dimensions;
    }
}

package peers;

/** One admitted version of a slot or a consultation, as far as `activity` reads it; reused from record to record. */
final class Version {
    static final int AVAILABLE = 0;
    static final int NOT_OFFERED = 1;
    static final int BOOKED = 2;
    static final int ARRIVED = 3;
    static final int ATTENDED = 4;
    static final int DNA = 5;
    static final int CANCELLED = 6;
    static final int WITHDRAWN = 7;

    static final int HCP_GP = 0;
    static final int HCP_OTHER = 1;
    static final int HCP_UNKNOWN = 2;
    /** The role field is missing. */
    static final int HCP_MISSING = 3;

    static final int MODE_UNKNOWN = 4;
    static final int BAND_UNKNOWN = 7;

    boolean isConsultation;
    Reference.Practice practice;
    /** Milliseconds since 1970 UTC: of one identity, the greatest wins. */
    long version;
    /** Local milliseconds; midnight where a consultation's time is missing. */
    long start;
    int hcp;

    // Of a slot.
    int state;
    boolean hasBooking;
    boolean isCovidVaccination;
    int mode;
    int band;

    // Of a consultation: live and complete.
    boolean counts;
    boolean hasLink;
    /** As its sender writes it, numbers big-endian: they order consultations of one slot. */
    final byte[] id = new byte[256];
    int idLength;

    /** Fingerprints of its own identity, and of the slot that it is linked to. */
    long high;
    long low;
    long linkHigh;
    long linkLow;

    int day() {
        return (int) Math.floorDiv(start, Time.DAY);
    }

    static int band(int days) {
        return days < 0 ? BAND_UNKNOWN
            : days <= 1 ? days
            : days <= 7 ? 2
            : days <= 14 ? 3
            : days <= 21 ? 4
            : days <= 28 ? 5 : 6;
    }
}

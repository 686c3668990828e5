package peers;

import java.time.DateTimeException;
import java.time.LocalDate;
import java.util.List;

/**
 * From a record's bytes to an admitted version: decode, gates, normalise, validate, as the service does it, for what `activity` reads.
 *
 * Left out, which is work saved: the screen of free texts, fingerprints of content (they tell duplicates from conflicts, which
 * makes no figure), the category, the horizon, dead letters and counts of dispositions.
 */
final class Admit {
    static final List<String> TOPICS = List.of(
        "emis.appointments", "emis.consultations", "tpp.appointments", "tpp.consultations",
        "inps.appointments", "inps.consultations", "microtest.appointments", "microtest.consultations");

    private static final int EMIS = 0;
    private static final int TPP = 4;
    private static final int INPS = 8;
    private static final int MICROTEST = 12;
    private static final int VISIT = 1;
    private static final int CONSULTATION = 2;

    /** `9999-12-31T00:00:00`, which means null. */
    private static final long NULL_DATE = 253_402_214_400_000L;
    private static final int SERVICE_FROM = (int) LocalDate.of(2020, 3, 1).toEpochDay();
    private static final int SERVICE_TO = (int) LocalDate.of(2023, 2, 28).toEpochDay();
    private static final int COVID_FROM = (int) LocalDate.of(2020, 12, 1).toEpochDay();

    /** In the order of the modes that they mean. */
    private static final byte[][] NATIVE_MODES = texts("Face to Face (Surgery)", "Telephone/Audio",
        "Face to Face (Home Visit)", "Video with Audio", "Written (Including Online)");
    private static final int[] MODES = {0, 1, 2, 3, 3};
    private static final byte[][] CONTACTS = texts("Surgery", "Telephone", "Visit", "Online");
    private static final byte[][] VISIT_STATUSES = texts("Requested", "Deferred", "Finished",
        "Automatically marked as Finished", "No Access Visit", "Cancelled by Patient", "Cancelled by Unit",
        "Cancelled Due to Death", "Rejected", "Deleted");
    private static final int[] VISIT_STATES = {Version.BOOKED, Version.BOOKED, Version.ATTENDED, Version.ATTENDED,
        Version.DNA, Version.CANCELLED, Version.CANCELLED, Version.CANCELLED, Version.CANCELLED, Version.WITHDRAWN};
    private static final byte[][] INPS_STATUSES = texts("Free", "Blocked", "Booked", "Arrived", "In consultation",
        "Seen", "DNA", "Cancelled");
    private static final int[] INPS_STATES = {Version.AVAILABLE, Version.NOT_OFFERED, Version.BOOKED, Version.ARRIVED,
        Version.ARRIVED, Version.ATTENDED, Version.DNA, Version.CANCELLED};
    private static final byte[][] MICROTEST_STATUSES = texts("Free Slot", "Booked", "Web Appointment", "Overdue",
        "Arrived", "In Consultation", "Seen", "DNA", "Cancelled");
    private static final int[] MICROTEST_STATES = {Version.AVAILABLE, Version.BOOKED, Version.BOOKED, Version.BOOKED,
        Version.ARRIVED, Version.ARRIVED, Version.ATTENDED, Version.DNA, Version.CANCELLED};
    private static final byte[][] MICROTEST_ROLES = texts("GP Partner", "GP Locum", "GP Registrar", "Practice Nurse",
        "District Nurse", "Health Visitor", "HCA", "Physiotherapist", "Counsellor", "Pharmacist");

    private static byte[][] texts(String... texts) {
        byte[][] all = new byte[texts.length][];
        for (int at = 0; at < texts.length; at++) {
            all[at] = Cursor.utf8(texts[at]);
        }
        return all;
    }

    /** Why a record goes no further; without a trace, since it is made for every such record. */
    private static final class Refused extends RuntimeException {
        private static final long serialVersionUID = 1;

        Refused() {
            super(null, null, false, false);
        }
    }

    private final Reference reference;
    private final Cursor in = new Cursor();
    private final Fingerprint fingerprint = new Fingerprint();
    private final Version out = new Version();
    private long practice;
    private int idFrom;
    private int idTo;
    private int extractionDay = Integer.MIN_VALUE;
    private int firstDay;
    private int lastDay;

    Admit(Reference reference) {
        this.reference = reference;
    }

    /** The admitted version, overwritten by the next; null if the record is refused or withheld. */
    Version take(int topic, byte[] value) {
        try {
            in.open(value, Reference.FRAME);
            in.text();
            practice = Reference.code(in.bytes, in.from, in.to);
            in.skipText();
            out.version = in.number();
            in.skipOptionalText();
            out.practice = reference.known(practice);
            int extractedOn = Time.londonDay(out.version);
            boolean isIn = out.practice != null && extractedOn >= SERVICE_FROM && extractedOn <= SERVICE_TO
                && out.practice.isApprovedOn(extractedOn);
            if (!isIn) {
                return null;
            }
            out.isConsultation = (topic & 1) == 1;
            switch (topic) {
                case 0 -> emisAppointment();
                case 1 -> emisConsultation();
                case 2 -> tppAppointment();
                case 3 -> tppConsultation();
                case 4 -> inpsAppointment();
                case 5 -> inpsConsultation();
                case 6 -> microtestAppointment();
                default -> microtestConsultation();
            }
            int day = out.day();
            setExtraction(extractedOn);
            return day >= firstDay && day <= lastDay && out.practice.isApprovedOn(day) ? out : null;
        } catch (Refused refused) {
            return null;
        }
    }

    private void setExtraction(int day) {
        if (day != extractionDay) {
            extractionDay = day;
            firstDay = (int) LocalDate.ofEpochDay(day).minusYears(1).toEpochDay();
            lastDay = (int) LocalDate.ofEpochDay(day).plusYears(1).toEpochDay();
        }
    }

    private void emisAppointment() {
        requiredId();
        markId();
        out.hasBooking = in.optionalText();
        in.skipText();
        int day = (int) in.number();
        int time = (int) in.number();
        int planned = (int) in.number();
        int booked = in.present() ? (int) in.number() : Integer.MIN_VALUE;
        optionalTime();
        boolean sentIn = optionalTime();
        boolean left = optionalTime();
        boolean dna = in.flag();
        in.skipOptionalNumber();
        in.text();
        in.trim();
        start(day, time);
        covid();
        in.skipText();
        out.hcp = in.optionalText() ? reference.hcpOf(in) : Version.HCP_MISSING;
        out.mode = in.optionalText() ? among(NATIVE_MODES, MODES, Version.MODE_UNKNOWN) : Version.MODE_UNKNOWN;
        in.skipOptionalText();
        in.skipOptionalText();
        in.skipOptionalText();
        boolean blocked = in.flag();
        boolean deleted = in.flag();
        out.state = deleted ? Version.WITHDRAWN
            : !out.hasBooking ? blocked ? Version.NOT_OFFERED : Version.AVAILABLE
            : dna ? Version.DNA : left ? Version.ATTENDED : sentIn ? Version.ARRIVED : Version.BOOKED;
        band(booked);
        planned(planned);
        identifyText(EMIS);
    }

    private void emisConsultation() {
        requiredId();
        markId();
        keepId();
        linkText(EMIS);
        int day = (int) in.number();
        int time = 0;
        if (in.present()) {
            time = (int) in.number();
        }
        optionalTime();
        in.skipText();
        out.hcp = in.optionalText() ? reference.hcpOf(in) : Version.HCP_MISSING;
        boolean complete = in.flag();
        out.counts = complete & !in.flag();
        start(day, time);
        identifyText(EMIS + CONSULTATION);
    }

    private void tppAppointment() {
        boolean isVisit = in.number() == 1;
        long row = in.number();
        in.skipOptionalNumber();
        in.skipText();
        in.skipText();
        in.text();
        int typeFrom = in.from;
        int typeTo = in.to;
        long start = in.number();
        long end = in.number();
        int status = in.present() ? (int) in.number() : -1;
        boolean hasVisitStatus = in.optionalText();
        int visitState = hasVisitStatus ? among(VISIT_STATUSES, VISIT_STATES, -1) : -1;
        long booked = in.present() ? in.number() : NULL_DATE;
        in.skipOptionalNumber();
        in.skipOptionalNumber();
        in.skipOptionalNumber();
        in.skipOptionalNumber();
        boolean telephone = in.flag();
        out.hcp = in.optionalText() ? reference.hcpOf(in) : Version.HCP_MISSING;
        out.mode = in.optionalText() ? among(NATIVE_MODES, MODES, Version.MODE_UNKNOWN)
            : isVisit ? 2 : telephone ? 1 : Version.MODE_UNKNOWN;
        in.skipOptionalText();
        in.skipOptionalText();
        in.skipOptionalText();
        boolean removed = in.flag();
        if (start == NULL_DATE) {
            throw new Refused();
        }
        out.start = start;
        out.state = removed ? Version.WITHDRAWN : isVisit ? visitState : tppState(status, booked != NULL_DATE);
        if (out.state < 0) {
            throw new Refused();
        }
        in.from = typeFrom;
        in.to = typeTo;
        in.trim();
        covid();
        out.hasBooking = true;
        band(booked == NULL_DATE ? Integer.MIN_VALUE : (int) Math.floorDiv(booked, Time.DAY));
        planned(end == NULL_DATE ? 0 : Math.floorDiv(end - start, Time.MINUTE));
        identify(TPP + (isVisit ? VISIT : 0), row);
    }

    private static int tppState(int status, boolean isBooked) {
        return switch (status) {
            case -1 -> isBooked ? -1 : Version.AVAILABLE;
            case 0, 5 -> Version.BOOKED;
            case 1, 3, 9 -> Version.ARRIVED;
            case 4, 8, 16 -> Version.ATTENDED;
            case 2, 14 -> Version.DNA;
            case 10, 11, 12, 15 -> Version.CANCELLED;
            case 6 -> Version.NOT_OFFERED;
            default -> -1;
        };
    }

    private void tppConsultation() {
        long row = in.number();
        keepId(row);
        linkNumber(TPP);
        out.start = in.number();
        if (out.start == NULL_DATE) {
            throw new Refused();
        }
        in.skipOptionalNumber();
        in.skipText();
        in.skipText();
        out.hcp = in.optionalText() ? reference.hcpOf(in) : Version.HCP_MISSING;
        boolean incomplete = in.flag();
        out.counts = !(incomplete | in.flag());
        identify(TPP + CONSULTATION, row);
    }

    private void inpsAppointment() {
        requiredId();
        markId();
        in.text();
        int day = date();
        in.text();
        int time = clock();
        int planned = (int) in.number();
        in.text();
        in.trim();
        out.state = among(INPS_STATUSES, INPS_STATES, -1);
        in.text();
        int typeFrom = in.from;
        int typeTo = in.to;
        out.hcp = in.optionalText() ? inpsHcp() : Version.HCP_MISSING;
        int booked = in.optionalText() ? date() : Integer.MIN_VALUE;
        for (int times = 0; times < 4; times++) {
            if (in.optionalText()) {
                clock();
            }
        }
        in.skipOptionalText();
        in.skipOptionalText();
        in.skipOptionalText();
        boolean isWithdrawn = isWithdrawn();
        if (out.state < 0) {
            throw new Refused();
        }
        out.state = isWithdrawn ? Version.WITHDRAWN : out.state;
        out.mode = Version.MODE_UNKNOWN;
        out.hasBooking = true;
        start(day, time);
        in.from = typeFrom;
        in.to = typeTo;
        in.trim();
        covid();
        band(booked);
        planned(planned);
        identifyText(INPS);
    }

    private void inpsConsultation() {
        requiredId();
        markId();
        keepId();
        in.text();
        int day = date();
        int time = in.optionalText() ? clock() : 0;
        in.skipOptionalNumber();
        out.hcp = in.optionalText() ? inpsHcp() : Version.HCP_MISSING;
        in.skipText();
        in.skipText();
        linkText(INPS);
        out.counts = !isWithdrawn();
        start(day, time);
        identifyText(INPS + CONSULTATION);
    }

    private boolean isWithdrawn() {
        in.text();
        return in.trim() && in.to - in.from == 1 && in.bytes[in.from] == 'D';
    }

    private int inpsHcp() {
        int first = in.bytes[in.from];
        if (in.to - in.from == 1) {
            return first >= 'A' && first <= 'C' ? Version.HCP_GP : first == 'D' ? Version.HCP_OTHER : Version.HCP_UNKNOWN;
        }
        boolean isNumbered = in.to - in.from == 3 && first == 'D' && isDigit(in.bytes[in.from + 1]) && isDigit(in.bytes[in.from + 2]);
        int number = isNumbered ? digits(in.from + 1, 2) : 0;
        return number >= 6 && number <= 19 ? Version.HCP_OTHER : Version.HCP_UNKNOWN;
    }

    private void microtestAppointment() {
        long number = in.number();
        in.text();
        out.start = dateTime();
        int planned = (int) in.number();
        in.text();
        in.trim();
        out.state = among(MICROTEST_STATUSES, MICROTEST_STATES, -1);
        in.text();
        in.trim();
        covid();
        out.hcp = in.optionalText() ? microtestHcp() : Version.HCP_MISSING;
        out.mode = in.optionalText() ? among(CONTACTS, null, Version.MODE_UNKNOWN) : Version.MODE_UNKNOWN;
        int booked = in.optionalText() ? (int) Math.floorDiv(dateTime(), Time.DAY) : Integer.MIN_VALUE;
        for (int times = 0; times < 2; times++) {
            if (in.optionalText()) {
                dateTime();
            }
        }
        in.skipOptionalText();
        in.skipOptionalText();
        in.skipOptionalText();
        if (out.state < 0) {
            throw new Refused();
        }
        out.state = in.flag() ? Version.WITHDRAWN : out.state;
        out.hasBooking = true;
        band(booked);
        planned(planned);
        identify(MICROTEST, number);
    }

    private void microtestConsultation() {
        long number = in.number();
        keepId(number);
        linkNumber(MICROTEST);
        in.text();
        out.start = dateTime();
        if (in.optionalText()) {
            dateTime();
        }
        out.hcp = in.optionalText() ? microtestHcp() : Version.HCP_MISSING;
        out.counts = !in.flag();
        identify(MICROTEST + CONSULTATION, number);
    }

    private int microtestHcp() {
        int role = among(MICROTEST_ROLES, null, -1);
        return role < 0 ? Version.HCP_UNKNOWN : role < 3 ? Version.HCP_GP : Version.HCP_OTHER;
    }

    /** What the text read last means, by its place among texts. */
    private int among(byte[][] texts, int[] meanings, int none) {
        for (int at = 0; at < texts.length; at++) {
            if (in.is(texts[at])) {
                return meanings == null ? at : meanings[at];
            }
        }
        return none;
    }

    private void start(int day, int time) {
        if (time < 0 || time >= Time.DAY) {
            throw new Refused();
        }
        out.start = day * Time.DAY + time;
    }

    private boolean optionalTime() {
        if (!in.present()) {
            return false;
        }
        long time = in.number();
        if (time < 0 || time >= Time.DAY) {
            throw new Refused();
        }
        return true;
    }

    private void band(int bookedOn) {
        out.band = bookedOn == Integer.MIN_VALUE ? Version.BAND_UNKNOWN : Version.band(out.day() - bookedOn);
    }

    private static void planned(long minutes) {
        if (minutes < 0 || minutes > 1440) {
            throw new Refused();
        }
    }

    /** Of the text read last: `covid` and one of `vacc`, `imm`, `jab`, whatever the case. */
    private void covid() {
        out.isCovidVaccination = out.day() >= COVID_FROM && holds("covid") && (holds("vacc") || holds("imm") || holds("jab"));
    }

    private boolean holds(String word) {
        int length = word.length();
        for (int at = in.from; at + length <= in.to; at++) {
            int same = 0;
            while (same < length && (in.bytes[at + same] | 0x20) == word.charAt(same)) {
                same++;
            }
            if (same == length) {
                return true;
            }
        }
        return false;
    }

    private static boolean isDigit(byte digit) {
        return digit >= '0' && digit <= '9';
    }

    private int digits(int from, int count) {
        int number = 0;
        for (int at = from; at < from + count; at++) {
            if (!isDigit(in.bytes[at])) {
                throw new Refused();
            }
            number = number * 10 + in.bytes[at] - '0';
        }
        return number;
    }

    /** Days and dates are few: the one of last time is remembered. */
    private int knownDate = -1;
    private int knownDay;

    private int day(int year, int month, int day) {
        int date = (year * 100 + month) * 100 + day;
        if (date != knownDate) {
            try {
                knownDay = (int) LocalDate.of(year, month, day).toEpochDay();
            } catch (DateTimeException error) {
                throw new Refused();
            }
            knownDate = date;
        }
        return knownDay;
    }

    /** `yyyyMMdd` of the text read last. */
    private int date() {
        in.trim();
        if (in.to - in.from != 8) {
            throw new Refused();
        }
        return day(digits(in.from, 4), digits(in.from + 4, 2), digits(in.from + 6, 2));
    }

    /** `HHmm` of the text read last, in milliseconds. */
    private int clock() {
        in.trim();
        if (in.to - in.from != 4) {
            throw new Refused();
        }
        return clock(digits(in.from, 2), digits(in.from + 2, 2), 0);
    }

    private static int clock(int hour, int minute, int second) {
        if (hour > 23 || minute > 59 || second > 59) {
            throw new Refused();
        }
        return ((hour * 60 + minute) * 60 + second) * 1000;
    }

    /** `2022-02-01T09:00` with or without seconds. */
    private long dateTime() {
        in.trim();
        int length = in.to - in.from;
        byte[] text = in.bytes;
        boolean isFixed = (length == 16 || length == 19 && text[in.from + 16] == ':') && text[in.from + 4] == '-'
            && text[in.from + 7] == '-' && text[in.from + 10] == 'T' && text[in.from + 13] == ':';
        if (!isFixed) {
            throw new Refused();
        }
        int day = day(digits(in.from, 4), digits(in.from + 5, 2), digits(in.from + 8, 2));
        int second = length == 19 ? digits(in.from + 17, 2) : 0;
        return day * Time.DAY + clock(digits(in.from + 11, 2), digits(in.from + 14, 2), second);
    }

    /** An identity is never trimmed, but a blank one is missing. */
    private void requiredId() {
        in.text();
        int from = in.from;
        int to = in.to;
        if (!in.trim()) {
            throw new Refused();
        }
        in.from = from;
        in.to = to;
    }

    private void markId() {
        idFrom = in.from;
        idTo = in.to;
    }

    private void keepId() {
        out.idLength = Math.min(in.to - in.from, out.id.length - 1);
        System.arraycopy(in.bytes, in.from, out.id, 0, out.idLength);
    }

    /** Big-endian with the sign turned: bytes are then in the order of the numbers. */
    private void keepId(long number) {
        out.idLength = 8;
        Fingerprint.put(out.id, 0, number ^ Long.MIN_VALUE);
    }

    private void identify(int space, long number) {
        fingerprint.start(space, practice);
        fingerprint.take(number);
        out.high = fingerprint.high;
        out.low = fingerprint.low;
    }

    private void identifyText(int space) {
        fingerprint.start(space, practice);
        fingerprint.take(in.bytes, idFrom, idTo);
        out.high = fingerprint.high;
        out.low = fingerprint.low;
    }

    private void linkText(int space) {
        out.hasLink = in.present();
        if (out.hasLink) {
            in.text();
            int from = in.from;
            int to = in.to;
            out.hasLink = in.trim();
            fingerprint.start(space, practice);
            fingerprint.take(in.bytes, from, to);
            out.linkHigh = fingerprint.high;
            out.linkLow = fingerprint.low;
        }
    }

    private void linkNumber(int space) {
        out.hasLink = in.present();
        if (out.hasLink) {
            fingerprint.start(space, practice);
            fingerprint.take(in.number());
            out.linkHigh = fingerprint.high;
            out.linkLow = fingerprint.low;
        }
    }
}

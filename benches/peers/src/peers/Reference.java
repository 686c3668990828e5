package peers;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** Practices, their agreements and their places by day, read to the end of the reference topics before anything else. */
final class Reference {
    /** A value begins with a magic byte and the schema's id. */
    static final int FRAME = 5;
    private static final int APPROVED = 1;

    /** What a row of a level is grouped and printed by. */
    record Place(String subIcb, String icb, String region) {}

    /** A practice; spans of days are told by their first. */
    static final class Practice {
        private final Map<String, Agreement> agreements = new HashMap<>();
        private final TreeMap<Integer, Row> rows = new TreeMap<>();
        private int[] agreedFrom = {};
        private boolean[] agreed = {};
        private int[] rowFrom = {};
        private int[] places = {};

        boolean isKnown() {
            return rowFrom.length > 0;
        }

        boolean isApprovedOn(int day) {
            for (int span = agreedFrom.length - 1; span >= 0; span--) {
                if (agreedFrom[span] <= day) {
                    return agreed[span];
                }
            }
            return false;
        }

        /** The row in force; before the first, the first. */
        int placeOn(int day) {
            for (int row = rowFrom.length - 1; row > 0; row--) {
                if (rowFrom[row] <= day) {
                    return places[row];
                }
            }
            return places[0];
        }

        private void settle() {
            var days = new java.util.TreeSet<Integer>();
            for (Agreement agreement : agreements.values()) {
                days.add(agreement.from);
                if (agreement.to != Integer.MAX_VALUE) {
                    days.add(agreement.to);
                }
            }
            agreedFrom = days.stream().mapToInt(day -> day).toArray();
            agreed = new boolean[agreedFrom.length];
            for (int span = 0; span < agreed.length; span++) {
                Agreement decides = null;
                for (Agreement agreement : agreements.values()) {
                    boolean holds = agreement.from <= agreedFrom[span] && agreedFrom[span] < agreement.to;
                    if (holds && (decides == null || agreement.isAfter(decides))) {
                        decides = agreement;
                    }
                }
                agreed[span] = decides != null && decides.state == APPROVED;
            }
            rowFrom = rows.keySet().stream().mapToInt(day -> day).toArray();
            places = rows.values().stream().mapToInt(row -> row.place).toArray();
        }
    }

    private record Agreement(int state, int from, int to, long recordedAt, long ordinal) {
        boolean isAfter(Agreement other) {
            return recordedAt != other.recordedAt ? recordedAt > other.recordedAt
                : from != other.from ? from > other.from : ordinal > other.ordinal;
        }
    }

    private record Row(int place, long recordedAt) {}

    private final Map<Long, Practice> practices = new HashMap<>();
    /** By {@link #word} of the code, one more than the HCP type. */
    private final Sums roles = new Sums();
    private final Map<String, Integer> longRoles = new HashMap<>();
    private final Map<Place, Integer> numbers = new HashMap<>();
    private final List<Place> places = new ArrayList<>();
    private final long[] codes;
    private final Practice[] found;

    private Reference(String brokers, Path roleGroups) throws IOException {
        readRoles(roleGroups);
        readTopics(brokers);
        practices.values().forEach(Practice::settle);
        // Looked up once a record: open addressing, at most half full.
        int slots = Integer.highestOneBit(Math.max(practices.size(), 1)) * 4;
        codes = new long[slots];
        found = new Practice[slots];
        practices.forEach((code, practice) -> {
            int slot = slot(code);
            while (codes[slot] != 0) {
                slot = slot + 1 & slots - 1;
            }
            codes[slot] = code;
            found[slot] = practice;
        });
    }

    static Reference read(String brokers, Path roleGroups) {
        try {
            return new Reference(brokers, roleGroups);
        } catch (IOException error) {
            throw new IllegalStateException(roleGroups + " cannot be read", error);
        }
    }

    Place place(int number) {
        return places.get(number);
    }

    /** A practice whose row is there and whose code is well formed; else null. */
    Practice known(long code) {
        int slot = slot(code);
        while (codes[slot] != 0) {
            if (codes[slot] == code) {
                return found[slot];
            }
            slot = slot + 1 & codes.length - 1;
        }
        return null;
    }

    private int slot(long code) {
        return (int) (code * 0x9E37_79B9_7F4A_7C15L >>> 40) & codes.length - 1;
    }

    /** A well-formed code of six characters as a number, 0 for any other. */
    static long code(byte[] bytes, int from, int to) {
        if (to - from != 6) {
            return 0;
        }
        byte first = bytes[from];
        boolean isWellFormed = first >= 'A' && first <= 'H' || first >= 'J' && first <= 'N' || first == 'P' || first == 'Y';
        long code = first;
        for (int at = from + 1; at < to; at++) {
            isWellFormed &= bytes[at] >= '0' && bytes[at] <= '9';
            code = code << 8 | bytes[at];
        }
        return isWellFormed ? code : 0;
    }

    /** The HCP type of an SDS role code, Unknown for one that is not listed. */
    int hcpOf(Cursor text) {
        if (text.to - text.from <= 7) {
            long known = roles.get(word(text.bytes, text.from, text.to));
            return known == 0 ? Version.HCP_UNKNOWN : (int) known - 1;
        }
        return longRoles.getOrDefault(text.string(), Version.HCP_UNKNOWN);
    }

    /** At most seven bytes as a number. */
    private static long word(byte[] bytes, int from, int to) {
        long word = to - from;
        for (int at = from; at < to; at++) {
            word = word << 8 | bytes[at] & 0xff;
        }
        return word;
    }

    private void readRoles(Path roleGroups) throws IOException {
        for (String line : Files.readAllLines(roleGroups)) {
            String[] fields = line.split(",");
            if (fields.length >= 3) {
                int hcp = switch (fields[fields.length - 3]) {
                    case "GP" -> Version.HCP_GP;
                    case "Nurses", "Other Direct Patient Care" -> Version.HCP_OTHER;
                    default -> Version.HCP_UNKNOWN;
                };
                byte[] code = Cursor.utf8(fields[0]);
                if (code.length <= 7) {
                    roles.add(word(code, 0, code.length), hcp + 1);
                } else {
                    longRoles.put(fields[0], hcp);
                }
            }
        }
    }

    private void readTopics(String brokers) {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", brokers);
        properties.put("isolation.level", "read_committed");
        try (var consumer = new KafkaConsumer<>(properties, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> all = new ArrayList<>();
            for (String topic : List.of("ods.practices", "cqrs.participation")) {
                consumer.partitionsFor(topic).forEach(it -> all.add(new TopicPartition(topic, it.partition())));
            }
            consumer.assign(all);
            consumer.seekToBeginning(all);
            var ends = consumer.endOffsets(all);
            while (all.stream().anyMatch(it -> consumer.position(it) < ends.get(it))) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(100))) {
                    Cursor cursor = new Cursor();
                    cursor.open(record.value(), FRAME);
                    if (record.topic().equals("ods.practices")) {
                        takeRow(cursor);
                    } else {
                        takeAgreement(cursor, record.offset());
                    }
                }
            }
        }
    }

    private Practice practice(Cursor cursor) {
        cursor.text();
        return practices.computeIfAbsent(code(cursor.bytes, cursor.from, cursor.to), code -> new Practice());
    }

    private void takeAgreement(Cursor cursor, long offset) {
        Practice practice = practice(cursor);
        cursor.text();
        String service = cursor.string();
        int state = (int) cursor.number();
        int from = (int) cursor.number();
        int to = cursor.present() ? (int) cursor.number() : Integer.MAX_VALUE;
        var agreement = new Agreement(state, from, to, cursor.number(), offset);
        practice.agreements.merge(service + '|' + from, agreement,
            (old, later) -> old.recordedAt > later.recordedAt ? old : later);
    }

    private void takeRow(Cursor cursor) {
        Practice practice = practice(cursor);
        cursor.skipText();
        for (long block = cursor.number(); block != 0; block = cursor.number()) {
            if (block < 0) {
                cursor.number();
            }
            for (long item = Math.abs(block); item > 0; item--) {
                cursor.skipText();
            }
        }
        String[] texts = new String[11];
        for (int at = 0; at < texts.length; at++) {
            boolean isPresent = cursor.present();
            if (isPresent) {
                cursor.text();
            }
            texts[at] = isPresent ? cursor.string() : null;
        }
        cursor.skipOptionalNumber();
        cursor.skipOptionalNumber();
        cursor.skipOptionalNumber();
        int from = (int) cursor.number();
        long recordedAt = cursor.number();
        // Without the PCN's two: sub-ICB, ICB and region, each code, ONS code, name.
        String subIcb = printed(texts[2]) + ',' + printed(texts[3]) + ',' + printed(texts[6]) + ',' + printed(texts[9]);
        String icb = texts[5] == null ? printed(texts[6]) : texts[5];
        String region = texts[8] == null ? printed(texts[9]) : texts[8];
        Integer place = numbers.computeIfAbsent(new Place(subIcb, icb, region), new_ -> {
            places.add(new_);
            return places.size() - 1;
        });
        practice.rows.merge(from, new Row(place, recordedAt),
            (old, later) -> old.recordedAt > later.recordedAt ? old : later);
    }

    private static String printed(String code) {
        return code == null ? "" : code;
    }
}

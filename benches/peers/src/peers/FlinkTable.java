package peers;

import java.nio.file.Path;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichFlatMapFunction;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.SingleOutputStreamOperator;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;
import org.apache.flink.table.functions.AggregateFunction;
import org.apache.flink.table.functions.FunctionContext;
import org.apache.flink.table.functions.ScalarFunction;
import org.apache.flink.table.functions.TableFunction;
import org.apache.flink.types.Row;
import org.apache.flink.util.Collector;

/**
 * `activity` in Flink's SQL, exactly once, in one process: the records are decoded before they become a table, what is theirs
 * alone is in functions, and Flink keeps the state.
 *
 * <pre>
 * consultations ─ newest by id ─┐
 * slots ────────────────────────┴ figure by slot ─ count by place, day, dimensions ─ sum by row ─ peer.rows
 * </pre>
 */
public final class FlinkTable {
    private static final String[] FIELDS = {"id", "payload"};
    private static final TypeInformation<Row> VERSION =
        Types.ROW_NAMED(FIELDS, FlinkJob.BYTES, FlinkJob.BYTES);

    private FlinkTable() {}

    public static void main(String[] arguments) throws Exception {
        FlinkJob job = new FlinkJob(arguments);
        StreamExecutionEnvironment environment = job.environment();
        StreamTableEnvironment tables = StreamTableEnvironment.create(environment);
        DataStream<byte[]> records = job.records(environment);
        tables.createTemporaryView("slots", tables.fromDataStream(versions(job, records, false)));
        tables.createTemporaryView("consultations", tables.fromDataStream(versions(job, records, true)));
        tables.createTemporarySystemFunction("newest", Newest.class);
        tables.createTemporarySystemFunction("slot_of", SlotOf.class);
        tables.createTemporarySystemFunction("figure", new Figure(job.brokers, job.roleGroups, job.now));
        tables.createTemporarySystemFunction("rows_of", RowsOf.class);
        tables.executeSql("CREATE TEMPORARY TABLE activity (`row` BYTES, n BIGINT, PRIMARY KEY (`row`) NOT ENFORCED) WITH ("
            + "'connector' = 'upsert-kafka', 'topic' = 'peer.rows', 'key.format' = 'raw', 'value.format' = 'raw', "
            + "'value.fields-include' = 'EXCEPT_KEY', 'sink.delivery-guarantee' = 'exactly-once', "
            + "'sink.transactional-id-prefix' = 'peer', 'sink.parallelism' = '1', " + job.clientOptions() + ")");
        tables.executeSql("CREATE TEMPORARY VIEW said AS SELECT newest(payload) AS payload FROM consultations GROUP BY id");
        tables.executeSql("CREATE TEMPORARY VIEW all_of_slots AS SELECT id AS slot, payload FROM slots "
            + "UNION ALL SELECT slot_of(payload), payload FROM said WHERE slot_of(payload) IS NOT NULL");
        tables.executeSql("CREATE TEMPORARY VIEW figures AS SELECT figure(payload) AS figure FROM all_of_slots GROUP BY slot");
        tables.executeSql("CREATE TEMPORARY VIEW counts AS SELECT figure, COUNT(*) AS n FROM figures "
            + "WHERE figure IS NOT NULL GROUP BY figure");
        tables.executeSql("INSERT INTO activity SELECT `row`, SUM(n) FROM counts, LATERAL TABLE(rows_of(figure)) AS t (`row`) "
            + "GROUP BY `row`").await();
    }

    private static SingleOutputStreamOperator<Row> versions(FlinkJob job, DataStream<byte[]> records, boolean areConsultations) {
        return records.filter(record -> (record[0] & 1) == 1 == areConsultations)
            .flatMap(new Decode(job.brokers, job.roleGroups))
            .returns(VERSION);
    }

    /** Admitted versions: own identity, and what is needed of them. */
    private static final class Decode extends RichFlatMapFunction<byte[], Row> {
        private static final long serialVersionUID = 1;
        private final String brokers;
        private final String roleGroups;
        private transient Admit admit;

        Decode(String brokers, String roleGroups) {
            this.brokers = brokers;
            this.roleGroups = roleGroups;
        }

        @Override
        public void open(OpenContext context) {
            admit = new Admit(Reference.read(brokers, Path.of(roleGroups)));
        }

        @Override
        public void flatMap(byte[] value, Collector<Row> out) {
            Version version = admit.take(value[0], value);
            if (version != null) {
                out.collect(Row.of(Fingerprint.bytes(version.high, version.low), Payload.of(version, FlinkJob.practice(value))));
            }
        }
    }

    /** Of the versions of one consultation, the newest. */
    public static final class Newest extends AggregateFunction<byte[], Newest.Held> {
        private static final long serialVersionUID = 1;

        /** What stands. */
        public static final class Held {
            public byte[] payload;
        }

        @Override
        public Held createAccumulator() {
            return new Held();
        }

        @Override
        public byte[] getValue(Held held) {
            return held.payload;
        }

        public void accumulate(Held held, byte[] payload) {
            if (held.payload == null || Payload.version(payload) >= Payload.version(held.payload)) {
                held.payload = payload;
            }
        }
    }

    /** The slot that a consultation is linked to, null for none. */
    public static final class SlotOf extends ScalarFunction {
        private static final long serialVersionUID = 1;

        public byte[] eval(byte[] payload) {
            return Payload.link(payload);
        }
    }

    /** What a slot adds one to, by its newest version and the consultations linked to it; null for nothing. */
    public static final class Figure extends AggregateFunction<byte[], Figure.Held> {
        private static final long serialVersionUID = 1;
        private final String brokers;
        private final String roleGroups;
        private final long now;
        private transient Reference reference;
        private transient Version version;

        public Figure(String brokers, String roleGroups, long now) {
            this.brokers = brokers;
            this.roleGroups = roleGroups;
            this.now = now;
        }

        /** A slot as {@link Slots} keeps it, and its practice. */
        public static final class Held {
            public byte[] slot;
            public long practice;
        }

        @Override
        public void open(FunctionContext context) {
            reference = Reference.read(brokers, Path.of(roleGroups));
            version = new Version();
        }

        @Override
        public Held createAccumulator() {
            return new Held();
        }

        @Override
        public byte[] getValue(Held held) {
            long figure = held.slot == null ? Slots.NOTHING : Slots.figure(held.slot);
            if (figure == Slots.NOTHING) {
                return null;
            }
            int day = (int) (figure >> 32);
            int place = reference.known(held.practice).placeOn(day);
            return Deltas.key(reference.place(place), day, (int) figure);
        }

        public void accumulate(Held held, byte[] payload) {
            held.practice = Payload.read(payload, version);
            byte[] changed = version.isConsultation ? Slots.listed(held.slot, version, version.counts)
                : Slots.newer(held.slot, version, now);
            held.slot = changed == null ? held.slot : changed;
        }

        /** Of consultations alone: versions of slots only come. */
        public void retract(Held held, byte[] payload) {
            Payload.read(payload, version);
            held.slot = Slots.listed(held.slot, version, false);
        }
    }

    /** The rows that a figure is part of. */
    public static final class RowsOf extends TableFunction<byte[]> {
        private static final long serialVersionUID = 1;

        public void eval(byte[] figure) {
            Rows.of(figure, this::collect);
        }
    }
}

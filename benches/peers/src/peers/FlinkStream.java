package peers;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.java.functions.KeySelector;
import org.apache.flink.runtime.state.internal.InternalValueState;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.datastream.DataStreamUtils;
import org.apache.flink.streaming.api.datastream.KeyedStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;

/**
 * `activity` on Flink's DataStream, exactly once, in one process.
 *
 * <pre>
 * eight topics ─ by practice: fold (slots, consultations) ─ by nothing: roll up (rows) ─ peer.rows
 * </pre>
 *
 * State is keyed by practice, as records are routed, with the slot or consultation as its namespace: an entry of its own each,
 * where a map a practice would be copied whole after every checkpoint. Changes are gathered and go out before each barrier, as
 * the Table runtime's bundles do. With a parallelism of 1 every key is at home wherever it is: nothing is shuffled, and source,
 * operators and sink are one chain.
 */
final class FlinkStream {
    private FlinkStream() {}

    public static void main(String[] arguments) throws Exception {
        FlinkJob job = new FlinkJob(arguments);
        StreamExecutionEnvironment environment = job.environment();
        DataStream<byte[]> deltas = keyed(job, job.records(environment), FlinkJob::practice)
            .transform("fold", FlinkJob.BYTES, new Fold(job.brokers, job.roleGroups, job.now));
        keyed(job, deltas, delta -> 0L)
            .transform("roll up", FlinkJob.BYTES, new RollUp())
            .setParallelism(1)
            .sinkTo(job.rows())
            .setParallelism(1);
        environment.execute("activity");
    }

    private static KeyedStream<byte[], Long> keyed(FlinkJob job, DataStream<byte[]> stream, KeySelector<byte[], Long> key) {
        return job.parallelism == 1 ? DataStreamUtils.reinterpretAsKeyedStream(stream, key) : stream.keyBy(key);
    }

    /** First stage. */
    private static final class Fold extends AbstractStreamOperator<byte[]>
        implements OneInputStreamOperator<byte[], byte[]>, Slots.State {
        private static final long serialVersionUID = 1;

        private final String brokers;
        private final String roleGroups;
        private final long now;
        private transient Admit admit;
        private transient Deltas deltas;
        private transient Slots rules;
        private transient InternalValueState<Long, Id, byte[]> slots;
        private transient InternalValueState<Long, Id, byte[]> consultations;

        Fold(String brokers, String roleGroups, long now) {
            this.brokers = brokers;
            this.roleGroups = roleGroups;
            this.now = now;
        }

        @Override
        public void open() throws Exception {
            super.open();
            Reference reference = Reference.read(brokers, Path.of(roleGroups));
            admit = new Admit(reference);
            deltas = new Deltas(reference);
            rules = new Slots(now, this, deltas);
            slots = state("slots");
            consultations = state("consultations");
        }

        @SuppressWarnings("unchecked")
        private InternalValueState<Long, Id, byte[]> state(String name) throws Exception {
            return (InternalValueState<Long, Id, byte[]>)
                getOrCreateKeyedState(Id.Serializer.INSTANCE, new ValueStateDescriptor<>(name, FlinkJob.BYTES));
        }

        @Override
        public void processElement(StreamRecord<byte[]> element) {
            byte[] value = element.getValue();
            Version version = admit.take(value[0], value);
            if (version != null) {
                rules.take(version);
            }
        }

        @Override
        public void prepareSnapshotPreBarrier(long checkpoint) {
            StreamRecord<byte[]> reused = new StreamRecord<>(null);
            deltas.drain((key, value) -> output.collect(reused.replace(FlinkJob.withNumber(Fingerprint.get(value, 0), key))));
        }

        @Override
        public byte[] slot(byte[] key) {
            return get(slots, key);
        }

        @Override
        public void slot(byte[] key, byte[] value) {
            put(slots, key, value);
        }

        @Override
        public byte[] consultation(byte[] key) {
            return get(consultations, key);
        }

        @Override
        public void consultation(byte[] key, byte[] value) {
            put(consultations, key, value);
        }
    }

    /** Second stage. */
    private static final class RollUp extends AbstractStreamOperator<byte[]> implements OneInputStreamOperator<byte[], byte[]> {
        private static final long serialVersionUID = 1;

        private transient Map<Id, long[]> changes;
        private transient InternalValueState<Long, Id, byte[]> rows;

        @Override
        @SuppressWarnings("unchecked")
        public void open() throws Exception {
            super.open();
            changes = new HashMap<>();
            rows = (InternalValueState<Long, Id, byte[]>)
                getOrCreateKeyedState(Id.Serializer.INSTANCE, new ValueStateDescriptor<>("rows", FlinkJob.BYTES));
        }

        @Override
        public void processElement(StreamRecord<byte[]> element) {
            byte[] delta = element.getValue();
            long change = Fingerprint.get(delta, 0);
            Rows.of(Arrays.copyOfRange(delta, 8, delta.length),
                row -> changes.computeIfAbsent(new Id(row), new_ -> new long[1])[0] += change);
        }

        @Override
        public void prepareSnapshotPreBarrier(long checkpoint) {
            setCurrentKey(0L);
            changes.forEach((row, change) -> {
                if (change[0] == 0) {
                    return;
                }
                byte[] old = get(rows, row.bytes);
                long count = change[0] + (old == null ? 0 : Fingerprint.get(old, 0));
                byte[] value = new byte[8];
                Fingerprint.put(value, 0, count);
                put(rows, row.bytes, count == 0 ? null : value);
                output.collect(new StreamRecord<>(FlinkJob.withNumber(count, row.bytes)));
            });
            changes.clear();
        }
    }

    private static byte[] get(InternalValueState<Long, Id, byte[]> state, byte[] id) {
        state.setCurrentNamespace(new Id(id));
        try {
            return state.value();
        } catch (IOException error) {
            throw new IllegalStateException("state cannot be read", error);
        }
    }

    private static void put(InternalValueState<Long, Id, byte[]> state, byte[] id, byte[] value) {
        state.setCurrentNamespace(new Id(id));
        try {
            state.update(value);
        } catch (IOException error) {
            throw new IllegalStateException("state cannot be written", error);
        }
    }
}

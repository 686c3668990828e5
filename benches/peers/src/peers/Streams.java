package peers;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueBytesStoreSupplier;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.Stores;

/**
 * `activity` on Kafka Streams, Processor API, exactly once. Arguments: brokers, file of role groups, "now" in milliseconds,
 * directory of state, stores (`rocksdb`, `memory` or `map`), whether they are `cached=true`, then any setting of Kafka Streams
 * as `name=value`.
 *
 * <pre>
 * eight topics ─ fold (slots, consultations) ─ peer.deltas, one partition ─ roll-up (rows) ─ peer.rows
 * </pre>
 *
 * What is sent carries the time of its commit. With a timestamp of long ago it would be older than any retention, and the broker
 * would delete it half a minute after its own start.
 */
final class Streams {
    private static final String DELTAS = "peer.deltas";
    private static final String ROWS = "peer.rows";

    private Streams() {}

    public static void main(String[] arguments) throws Exception {
        String brokers = arguments[0];
        Reference reference = Reference.read(brokers, Path.of(arguments[1]));
        long now = Long.parseLong(arguments[2]);
        Properties properties = new Properties();
        properties.put(StreamsConfig.APPLICATION_ID_CONFIG, "peer");
        properties.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        properties.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        properties.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, "1");
        properties.put(StreamsConfig.ROCKSDB_CONFIG_SETTER_CLASS_CONFIG, Tuned.class);
        properties.put(StreamsConfig.consumerPrefix("auto.offset.reset"), "earliest");
        properties.put(StreamsConfig.STATE_DIR_CONFIG, arguments[3]);
        boolean isCached = arguments[5].equals("cached=true");
        for (String setting : List.of(arguments).subList(6, arguments.length)) {
            String[] nameAndValue = setting.split("=", 2);
            properties.put(nameAndValue[0], nameAndValue[1]);
        }
        Topics.make(brokers, DELTAS, ROWS);
        KafkaStreams streams = new KafkaStreams(topology(reference, now, arguments[4], isCached), properties);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            Runtime.getRuntime().halt(1);
            return null;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(20))));
        streams.start();
    }

    private static Topology topology(Reference reference, long now, String stores, boolean isCached) {
        Topology topology = new Topology();
        var bytesIn = new ByteArrayDeserializer();
        var bytesOut = new ByteArraySerializer();
        for (String topic : Admit.TOPICS) {
            topology.addSource(topic, bytesIn, bytesIn, topic);
        }
        topology.addProcessor("fold", () -> new Fold(reference, now), Admit.TOPICS.toArray(String[]::new));
        topology.addStateStore(store("slots", stores, isCached), "fold");
        topology.addStateStore(store("consultations", stores, isCached), "fold");
        topology.addStateStore(AtCommit.builder("deltas"), "fold");
        topology.addSink("out-deltas", DELTAS, bytesOut, bytesOut, "fold");
        topology.addSource("in-deltas", bytesIn, bytesIn, DELTAS);
        topology.addProcessor("roll-up", RollUp::new, "in-deltas");
        // Written at the commit alone, once a row: a cache would be flushed before or after that, as the order of stores has it.
        topology.addStateStore(store("rows", stores, false), "roll-up");
        topology.addStateStore(AtCommit.builder("changed"), "roll-up");
        topology.addSink("out-rows", ROWS, bytesOut, bytesOut, "roll-up");
        return topology;
    }

    private static StoreBuilder<KeyValueStore<Bytes, byte[]>> store(String name, String kind, boolean isCached) {
        KeyValueBytesStoreSupplier supplier = switch (kind) {
            case "rocksdb" -> Stores.persistentKeyValueStore(name);
            case "memory" -> Stores.inMemoryKeyValueStore(name);
            case "map" -> MapStore.supplier(name);
            default -> throw new IllegalArgumentException("stores are rocksdb, memory or map, not " + kind);
        };
        var builder = Stores.keyValueStoreBuilder(supplier, Serdes.Bytes(), Serdes.ByteArray())
            .withLoggingEnabled(Map.of("compression.type", "producer"));
        return isCached ? builder.withCachingEnabled() : builder.withCachingDisabled();
    }

    /** First stage: one task a partition number, over all eight topics. */
    private static final class Fold implements Processor<byte[], byte[], byte[], byte[]>, Slots.State {
        private final Admit admit;
        private final Deltas deltas;
        private final Slots slots;
        private final Map<String, Integer> topics = new HashMap<>();
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<Bytes, byte[]> slotStore;
        private KeyValueStore<Bytes, byte[]> consultationStore;

        Fold(Reference reference, long now) {
            admit = new Admit(reference);
            deltas = new Deltas(reference);
            slots = new Slots(now, this, deltas);
            for (int topic = 0; topic < Admit.TOPICS.size(); topic++) {
                topics.put(Admit.TOPICS.get(topic), topic);
            }
        }

        @Override
        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
            slotStore = given.getStateStore("slots");
            consultationStore = given.getStateStore("consultations");
            AtCommit atCommit = given.getStateStore("deltas");
            atCommit.hand(() -> {
                long now = given.currentSystemTimeMs();
                deltas.drain((key, value) -> given.forward(new Record<>(key, value, now)));
            });
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            int topic = topics.get(context.recordMetadata().orElseThrow().topic());
            Version version = admit.take(topic, record.value());
            if (version != null) {
                slots.take(version);
            }
        }

        @Override
        public byte[] slot(byte[] key) {
            return slotStore.get(Bytes.wrap(key));
        }

        @Override
        public void slot(byte[] key, byte[] value) {
            slotStore.put(Bytes.wrap(key), value);
        }

        @Override
        public byte[] consultation(byte[] key) {
            return consultationStore.get(Bytes.wrap(key));
        }

        @Override
        public void consultation(byte[] key, byte[] value) {
            consultationStore.put(Bytes.wrap(key), value);
        }
    }

    /** Second stage: adds deltas up; a row that has changed is sent once a transaction. */
    private static final class RollUp implements Processor<byte[], byte[], byte[], byte[]> {
        private final Map<Bytes, long[]> changes = new HashMap<>();
        private ProcessorContext<byte[], byte[]> context;
        private KeyValueStore<Bytes, byte[]> rows;

        @Override
        public void init(ProcessorContext<byte[], byte[]> given) {
            context = given;
            rows = given.getStateStore("rows");
            AtCommit atCommit = given.getStateStore("changed");
            atCommit.hand(this::send);
        }

        @Override
        public void process(Record<byte[], byte[]> record) {
            long change = Fingerprint.get(record.value(), 0);
            Rows.of(record.key(), row -> changes.computeIfAbsent(Bytes.wrap(row), new_ -> new long[1])[0] += change);
        }

        private void send() {
            long now = context.currentSystemTimeMs();
            for (Map.Entry<Bytes, long[]> changed : new ArrayList<>(changes.entrySet())) {
                long change = changed.getValue()[0];
                if (change == 0) {
                    continue;
                }
                byte[] old = rows.get(changed.getKey());
                long count = change + (old == null ? 0 : Fingerprint.get(old, 0));
                byte[] value = null;
                if (count != 0) {
                    value = new byte[8];
                    Fingerprint.put(value, 0, count);
                }
                rows.put(changed.getKey(), value);
                context.forward(new Record<>(changed.getKey().get(), value, now));
            }
            changes.clear();
        }
    }
}

package peers;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.stream.Stream;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.Collector;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;

/** What both forms of the Flink job share: the environment, the source of all eight topics, the exactly-once sink of rows. */
final class FlinkJob {
    static final TypeInformation<byte[]> BYTES = PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO;
    private static final String ROWS = "peer.rows";

    final String brokers;
    final String roleGroups;
    final long now;
    final int parallelism;
    private final Properties client = new Properties();
    private final Properties producer = new Properties();
    private final Configuration configuration = new Configuration();

    /**
     * Arguments: brokers, file of role groups, "now" in milliseconds, directory of state, then settings `name=value`: of the
     * producer `producer.…`, of the consumer `consumer.…`, any other of Flink.
     */
    FlinkJob(String[] arguments) throws Exception {
        brokers = arguments[0];
        roleGroups = arguments[1];
        now = Long.parseLong(arguments[2]);
        configuration.setString("execution.checkpointing.dir", Path.of(arguments[3]).toUri().toString());
        configuration.setString("execution.checkpointing.storage", "filesystem");
        configuration.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
        configuration.setString("pipeline.object-reuse", "true");
        for (String setting : List.of(arguments).subList(4, arguments.length)) {
            String[] nameAndValue = setting.split("=", 2);
            if (nameAndValue[0].startsWith("producer.")) {
                producer.put(nameAndValue[0].substring("producer.".length()), nameAndValue[1]);
            } else if (nameAndValue[0].startsWith("consumer.")) {
                client.put(nameAndValue[0].substring("consumer.".length()), nameAndValue[1]);
            } else {
                configuration.setString(nameAndValue[0], nameAndValue[1]);
            }
        }
        parallelism = Integer.parseInt(configuration.getString("parallelism.default", "1"));
        newestCheckpoint(Path.of(arguments[3])).ifPresent(path -> configuration.setString("execution.state-recovery.path", path));
        Topics.make(brokers, ROWS);
    }

    /** What an earlier process has left: one process is no cluster that would remember it. */
    private static Optional<String> newestCheckpoint(Path directory) throws IOException {
        if (!Files.isDirectory(directory)) {
            return Optional.empty();
        }
        try (Stream<Path> all = Files.walk(directory, 3)) {
            return all.filter(path -> path.endsWith("_metadata"))
                .max(Comparator.comparingLong(path -> path.toFile().lastModified()))
                .map(path -> path.getParent().toUri().toString());
        }
    }

    StreamExecutionEnvironment environment() {
        return StreamExecutionEnvironment.createLocalEnvironment(parallelism, configuration);
    }

    /** Values of all eight topics; the topic's number stands where the frame's magic byte stood. */
    DataStream<byte[]> records(StreamExecutionEnvironment environment) {
        KafkaSource<byte[]> source = KafkaSource.<byte[]>builder()
            .setBootstrapServers(brokers)
            .setTopics(Admit.TOPICS)
            .setGroupId("peer")
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setProperty("partition.discovery.interval.ms", "-1")
            .setProperty("isolation.level", "read_committed")
            .setProperties(client)
            .setDeserializer(new Numbered())
            .build();
        return environment.fromSource(source, WatermarkStrategy.noWatermarks(), "records", BYTES);
    }

    /** Rows as one array: the count, 0 for a row that has come to nothing, then the key. */
    KafkaSink<byte[]> rows() {
        producer.putIfAbsent("transaction.timeout.ms", "600000");
        return KafkaSink.<byte[]>builder()
            .setBootstrapServers(brokers)
            .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
            .setTransactionalIdPrefix("peer")
            .setKafkaProducerConfig(producer)
            .setRecordSerializer(new Upsert())
            .build();
    }

    /** The same of a table's sink. */
    String clientOptions() {
        StringBuilder options = new StringBuilder("'properties.bootstrap.servers' = '" + brokers + "'");
        producer.putIfAbsent("transaction.timeout.ms", "600000");
        producer.forEach((name, value) -> options.append(", 'properties." + name + "' = '" + value + "'"));
        return options.toString();
    }

    private static final class Numbered implements KafkaRecordDeserializationSchema<byte[]> {
        private static final long serialVersionUID = 1;
        private final Map<String, Byte> topics = new HashMap<>();

        Numbered() {
            for (String topic : Admit.TOPICS) {
                topics.put(topic, (byte) topics.size());
            }
        }

        @Override
        public void deserialize(ConsumerRecord<byte[], byte[]> record, Collector<byte[]> out) {
            byte[] value = record.value();
            value[0] = topics.get(record.topic());
            out.collect(value);
        }

        @Override
        public TypeInformation<byte[]> getProducedType() {
            return BYTES;
        }
    }

    private static final class Upsert implements KafkaRecordSerializationSchema<byte[]> {
        private static final long serialVersionUID = 1;

        @Override
        public ProducerRecord<byte[], byte[]> serialize(byte[] row, KafkaSinkContext context, Long timestamp) {
            byte[] key = java.util.Arrays.copyOfRange(row, 8, row.length);
            byte[] value = Fingerprint.get(row, 0) == 0 ? null : java.util.Arrays.copyOf(row, 8);
            return new ProducerRecord<>(ROWS, key, value);
        }
    }

    /** The number of a record's practice, 0 where it is not well formed. */
    static long practice(byte[] value) {
        int from = Reference.FRAME + 1;
        boolean isSix = value.length > from + 6 && value[from - 1] == 12;
        return isSix ? Reference.code(value, from, from + 6) : 0;
    }

    /** A change or a count in front of a key. */
    static byte[] withNumber(long number, byte[] key) {
        byte[] both = new byte[8 + key.length];
        Fingerprint.put(both, 0, number);
        System.arraycopy(key, 0, both, 8, key.length);
        return both;
    }
}

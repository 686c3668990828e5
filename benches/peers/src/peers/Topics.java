package peers;

import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.errors.TopicExistsException;

/** The topics that a peer writes to. */
final class Topics {
    private Topics() {}

    /** Makes those that are not there, of one partition each: a peer that is started again finds its own. */
    static void make(String brokers, String... names) throws ExecutionException, InterruptedException {
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", brokers))) {
            for (var made : admin.createTopics(Stream.of(names).map(name -> new NewTopic(name, 1, (short) 1)).toList()).values().values()) {
                try {
                    made.get();
                } catch (ExecutionException error) {
                    if (!(error.getCause() instanceof TopicExistsException)) {
                        throw error;
                    }
                }
            }
        }
    }
}

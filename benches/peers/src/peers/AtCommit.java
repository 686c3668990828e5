package peers;

import java.util.Map;
import org.apache.kafka.streams.processor.StateStore;
import org.apache.kafka.streams.processor.StateStoreContext;
import org.apache.kafka.streams.processor.internals.InternalProcessorContext;
import org.apache.kafka.streams.processor.internals.ProcessorNode;
import org.apache.kafka.streams.state.StoreBuilder;
import org.apache.kafka.streams.state.internals.CacheFlushListener;
import org.apache.kafka.streams.state.internals.CachedStateStore;

/**
 * A store that keeps nothing over a commit: Kafka Streams flushes caches before it commits, and only then, so what a processor
 * has gathered goes out once a transaction, within it. It does so by the interface that the library's own caches use.
 */
final class AtCommit implements StateStore, CachedStateStore<Object, Object> {
    private final String name;
    private InternalProcessorContext<?, ?> context;
    private ProcessorNode<?, ?, ?, ?> node;
    private Runnable send;
    private boolean isOpen;

    private AtCommit(String name) {
        this.name = name;
    }

    /** From within a processor's `init`: what it sends at each commit. */
    void hand(Runnable sending) {
        node = context.currentNode();
        send = sending;
    }

    @Override
    public void flushCache() {
        ProcessorNode<?, ?, ?, ?> before = context.currentNode();
        var record = context.recordContext();
        context.setCurrentNode(node);
        try {
            send.run();
        } finally {
            context.setCurrentNode(before);
            context.setRecordContext(record);
        }
    }

    @Override
    public void init(StateStoreContext given, StateStore root) {
        context = (InternalProcessorContext<?, ?>) given;
        given.register(root, (key, value) -> {
            throw new IllegalStateException(name + " has no changelog");
        });
        isOpen = true;
    }

    @Override
    public String name() {
        return name;
    }

    @Override
    public boolean setFlushListener(CacheFlushListener<Object, Object> listener, boolean sendOldValues) {
        return false;
    }

    @Override
    public void clearCache() {}

    @Override
    public void flush() {}

    @Override
    public void close() {
        isOpen = false;
    }

    /** A process with such a store keeps its name, and so its transactions' ids: killed and started again, it fences itself at once. */
    @Override
    public boolean persistent() {
        return true;
    }

    @Override
    public boolean isOpen() {
        return isOpen;
    }

    static StoreBuilder<AtCommit> builder(String name) {
        return new StoreBuilder<>() {
            @Override
            public StoreBuilder<AtCommit> withCachingEnabled() {
                return this;
            }

            @Override
            public StoreBuilder<AtCommit> withCachingDisabled() {
                return this;
            }

            @Override
            public StoreBuilder<AtCommit> withLoggingEnabled(Map<String, String> config) {
                throw new UnsupportedOperationException(name + " keeps nothing that a changelog could hold");
            }

            @Override
            public StoreBuilder<AtCommit> withLoggingDisabled() {
                return this;
            }

            @Override
            public AtCommit build() {
                return new AtCommit(name);
            }

            @Override
            public Map<String, String> logConfig() {
                return Map.of();
            }

            @Override
            public boolean loggingEnabled() {
                return false;
            }

            @Override
            public String name() {
                return name;
            }
        };
    }
}

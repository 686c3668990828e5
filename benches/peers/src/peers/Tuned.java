package peers;

import java.util.Map;
import org.apache.kafka.streams.state.RocksDBConfigSetter;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.CompressionType;
import org.rocksdb.LRUCache;
import org.rocksdb.Options;

/** RocksDB as Kafka Streams' memory guide bounds it: one block cache for all stores, bloom filters, larger write buffers. */
public final class Tuned implements RocksDBConfigSetter {
    private static final org.rocksdb.Cache CACHE = new LRUCache(Long.getLong("rocksdb.cache.mib", 256) << 20);

    @Override
    public void setConfig(String store, Options options, Map<String, Object> configs) {
        var table = (BlockBasedTableConfig) options.tableFormatConfig();
        table.setBlockCache(CACHE);
        table.setFilterPolicy(new BloomFilter(10, false));
        table.setBlockSize(Long.getLong("rocksdb.block.bytes", 4096));
        options.setTableFormatConfig(table);
        options.setWriteBufferSize(Long.getLong("rocksdb.buffer.mib", 64) << 20);
        options.setMaxWriteBufferNumber(Integer.getInteger("rocksdb.buffers", 3));
        options.setCompressionType(CompressionType.LZ4_COMPRESSION);
        options.setIncreaseParallelism(2);
    }

    @Override
    public void close(String store, Options options) {}
}

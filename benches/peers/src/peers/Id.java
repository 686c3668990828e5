package peers;

import java.io.IOException;
import java.util.Arrays;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.base.TypeSerializerSingleton;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Bytes that state is found by, as the namespace of a key. */
public final class Id {
    final byte[] bytes;
    private final int hash;

    Id(byte[] bytes) {
        this.bytes = bytes;
        hash = Arrays.hashCode(bytes);
    }

    @Override
    public boolean equals(Object other) {
        return other instanceof Id && Arrays.equals(bytes, ((Id) other).bytes);
    }

    @Override
    public int hashCode() {
        return hash;
    }

    /** Length, then the bytes. */
    public static final class Serializer extends TypeSerializerSingleton<Id> {
        static final Serializer INSTANCE = new Serializer();
        private static final long serialVersionUID = 1;

        @Override
        public boolean isImmutableType() {
            return true;
        }

        @Override
        public Id createInstance() {
            return new Id(new byte[0]);
        }

        @Override
        public Id copy(Id from) {
            return from;
        }

        @Override
        public Id copy(Id from, Id reuse) {
            return from;
        }

        @Override
        public int getLength() {
            return -1;
        }

        @Override
        public void serialize(Id id, DataOutputView target) throws IOException {
            target.writeByte(id.bytes.length);
            target.write(id.bytes);
        }

        @Override
        public Id deserialize(DataInputView source) throws IOException {
            byte[] bytes = new byte[source.readUnsignedByte()];
            source.readFully(bytes);
            return new Id(bytes);
        }

        @Override
        public Id deserialize(Id reuse, DataInputView source) throws IOException {
            return deserialize(source);
        }

        @Override
        public void copy(DataInputView source, DataOutputView target) throws IOException {
            serialize(deserialize(source), target);
        }

        @Override
        public TypeSerializerSnapshot<Id> snapshotConfiguration() {
            return new Snapshot();
        }

        /** There is one version. */
        public static final class Snapshot extends SimpleTypeSerializerSnapshot<Id> {
            public Snapshot() {
                super(Serializer::new);
            }
        }
    }
}

package ping.metrics.types;

import java.io.IOException;
import java.util.List;
import org.apache.flink.api.common.typeutils.TypeSerializer;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/**
 * A serializer that copies, as writing and reading does: what a test harness keeps stays as it was.
 */
public final class SightingsCopies extends ImmutableSerializer<Sightings> {
  /** Of which there is one. */
  public static final TypeSerializer<Sightings> SERIALIZER = new SightingsCopies();

  private static final long serialVersionUID = 1;

  @Override
  public Sightings copy(Sightings from) {
    return new Sightings(List.copyOf(from.all()));
  }

  @Override
  public void serialize(Sightings value, DataOutputView to) throws IOException {
    SightingsSerializer.INSTANCE.serialize(value, to);
  }

  @Override
  public Sightings deserialize(DataInputView from) throws IOException {
    return SightingsSerializer.INSTANCE.deserialize(from);
  }

  @Override
  public TypeSerializerSnapshot<Sightings> snapshotConfiguration() {
    return SightingsSerializer.INSTANCE.snapshotConfiguration();
  }
}

package ping.metrics.types;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.flink.api.common.typeutils.SimpleTypeSerializerSnapshot;
import org.apache.flink.api.common.typeutils.TypeSerializerSnapshot;
import org.apache.flink.core.memory.DataInputView;
import org.apache.flink.core.memory.DataOutputView;

/** Of {@link Sightings}, which go from task to task and never lie in state. */
public final class SightingsSerializer extends ImmutableSerializer<Sightings> {
  static final SightingsSerializer INSTANCE = new SightingsSerializer();
  private static final long serialVersionUID = 1;

  @Override
  public Sightings copy(Sightings from) {
    return new Sightings(List.copyOf(from.all()));
  }

  @Override
  public void serialize(Sightings value, DataOutputView to) throws IOException {
    List<Sighting> all = value.all();
    int count = all.size();
    to.writeShort(count);
    for (int i = 0; i < count; i++) {
      SightingSerializer.INSTANCE.serialize(all.get(i), to);
    }
  }

  @Override
  public Sightings deserialize(DataInputView from) throws IOException {
    int count = from.readUnsignedShort();
    List<Sighting> all = new ArrayList<>(count);
    for (int i = 0; i < count; i++) {
      all.add(SightingSerializer.INSTANCE.deserialize(from));
    }
    return new Sightings(all);
  }

  @Override
  public TypeSerializerSnapshot<Sightings> snapshotConfiguration() {
    return new Snapshot();
  }

  /** Nothing of it lies in savepoints. */
  public static final class Snapshot extends SimpleTypeSerializerSnapshot<Sightings> {
    /** Made by Flink. */
    public Snapshot() {
      super(() -> INSTANCE);
    }
  }
}

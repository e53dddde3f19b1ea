package ping.metrics.job;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import ping.metrics.core.Address;

class ClientTableTest {
  private static Address client(int number) {
    return number % 2 == 0 ? Address.ofIpv4(number) : Address.of(number, 7);
  }

  @Test
  void isAsAMapWhateverIsDoneToIt() {
    Random chance = new Random(20241014);
    ClientTable<Integer> table = new ClientTable<>();
    Map<Address, Integer> map = new HashMap<>();
    for (int i = 0; i < 200_000; i++) {
      Address client = client(chance.nextInt(6000));
      switch (chance.nextInt(4)) {
        case 0, 1 -> {
          table.put(client, i);
          map.put(client, i);
        }
        case 2 -> {
          table.remove(client);
          map.remove(client);
        }
        default -> assertThat(table.get(client)).isEqualTo(map.get(client));
      }
    }
    map.forEach((client, value) -> assertThat(table.get(client)).isEqualTo(value));
    List<Integer> values = new ArrayList<>();
    table.forEach(values::add);
    assertThat(values).containsExactlyInAnyOrderElementsOf(map.values());
    assertThat(table.size()).isEqualTo(map.size());
  }

  @Test
  void thoseAskedForLatelyStay() {
    ClientTable<Integer> table = new ClientTable<>();
    List<Integer> gone = new ArrayList<>();
    for (int i = 0; i < 3000; i++) {
      table.put(client(i), i);
    }
    table.shrinkTo(2999, gone::add);
    for (int i = 0; i < 1000; i++) {
      if (!gone.contains(i)) {
        table.get(client(i));
      }
    }
    table.shrinkTo(1001, gone::add);
    assertThat(table.size()).isEqualTo(1001);
    for (int i = 0; i < 3000; i++) {
      Integer left = table.get(client(i));
      assertThat(left).isEqualTo(gone.contains(i) ? null : i);
      if (i < 1000 && i != gone.get(0)) {
        assertThat(left).isNotNull();
      }
    }
    assertThat(gone).doesNotHaveDuplicates().hasSize(1999);
  }
}

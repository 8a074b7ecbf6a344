// An HTTP server or client of the JDK's, whose spans dd-java-agent makes: of the methods below, without a line here that asks for it
// (-Ddd.trace.methods). Arguments, protocol and modes: ../README.md.
//   Peer serve threads
//   Peer call threads PORT
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import datadog.trace.api.CorrelationIdentifier;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URL;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

public final class Peer {
  private static final List<String> MODES = List.of("both", "client", "server", "none", "early");

  private final Consumer<String> tell;

  private Peer(Consumer<String> tell) {
    this.tell = tell;
  }

  private static synchronized void say(String line) {
    System.out.println(line);
    System.out.flush();
  }

  /** Tells of the span that this is in. The ids are hexadecimal, or decimal where they have 64 bits. */
  private void tellSpan(int number, String name) {
    String trace = CorrelationIdentifier.getTraceId();
    String span = String.format("%016x", Long.parseUnsignedLong(CorrelationIdentifier.getSpanId()));
    String format = "{\"kind\":\"trace\",\"id\":%d,\"spans\":[{\"trace\":\"%s\",\"span\":\"%s\",\"name\":\"%s\"}]}";
    tell.accept(String.format(format, number, trace, span, name));
  }

  private static void write(HttpExchange exchange) throws IOException {
    exchange.sendResponseHeaders(200, 2);
    exchange.getResponseBody().write(new byte[] {'o', 'k'});
    exchange.close();
  }

  // A span, by -Ddd.trace.methods.
  private void answer(HttpExchange exchange, int number) throws IOException {
    tellSpan(number, "answer");
    write(exchange);
  }

  // A span, by -Ddd.trace.methods.
  private void consider(int number) {
    tellSpan(number, "consider");
  }

  private static boolean request(int port, int number, String mode) throws IOException {
    URL url = new URL("http://127.0.0.1:" + port + "/t?id=" + number + "&mode=" + mode);
    HttpURLConnection connection = (HttpURLConnection) url.openConnection();
    return new String(connection.getInputStream().readAllBytes()).equals("ok");
  }

  // A span, by -Ddd.trace.methods.
  private boolean ask(int port, int number, String mode) throws IOException {
    tellSpan(number, "ask");
    return request(port, number, mode);
  }

  private void serve() throws IOException {
    HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 128);
    server.setExecutor(Executors.newFixedThreadPool(4));
    server.createContext(
        "/t",
        exchange -> {
          String[] query = exchange.getRequestURI().getQuery().split("[=&]");
          int number = Integer.parseInt(query[1]);
          switch (query[3]) {
            case "both", "server" -> answer(exchange, number);
            case "early" -> {
              consider(number);
              write(exchange);
            }
            default -> write(exchange);
          }
        });
    server.start();
    say("{\"kind\":\"ready\",\"port\":" + server.getAddress().getPort() + "}");
  }

  private int run(int port, int first, int count, int concurrency, String mode) throws InterruptedException {
    AtomicInteger next = new AtomicInteger(first);
    AtomicInteger failed = new AtomicInteger();
    Runnable work =
        () -> {
          for (int number = next.getAndIncrement(); number < first + count; number = next.getAndIncrement()) {
            String its = mode.equals("mixed") ? MODES.get(number % MODES.size()) : mode;
            boolean isInSpan = its.equals("both") || its.equals("client") || its.equals("early");
            try {
              if (!(isInSpan ? ask(port, number, its) : request(port, number, its))) failed.getAndIncrement();
            } catch (IOException e) {
              failed.getAndIncrement();
            }
          }
        };
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < concurrency; i++) threads.add(new Thread(work));
    threads.forEach(Thread::start);
    for (Thread thread : threads) thread.join();
    return failed.get();
  }

  public static void main(String[] args) throws Exception {
    BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
    List<String> traces = Collections.synchronizedList(new ArrayList<>());
    if (args[0].equals("serve")) new Peer(Peer::say).serve();
    else say("{\"kind\":\"ready\"}");
    Peer client = new Peer(traces::add);
    for (String line = in.readLine(); line != null; line = in.readLine()) {
      String[] words = line.split(" ");
      int[] numbers = {Integer.parseInt(words[1]), Integer.parseInt(words[2]), Integer.parseInt(words[3])};
      int failed = client.run(Integer.parseInt(args[2]), numbers[0], numbers[1], numbers[2], words[4]);
      say("{\"kind\":\"done\",\"failed\":" + failed + ",\"traces\":[" + String.join(",", traces) + "]}");
      traces.clear();
    }
    // Without the hooks that would wait for an agent that is not there.
    Runtime.getRuntime().halt(0);
  }
}

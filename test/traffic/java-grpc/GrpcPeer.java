// gRPC server and client of the traffic generator (see ../README.md) on grpc-java with its own copy of Netty, without generated code: messages are bytes.
//
//	GrpcPeer server HOST:PORT
//	GrpcPeer client HOST:PORT
import com.google.gson.Gson;
import com.google.gson.JsonObject;
import io.grpc.CallOptions;
import io.grpc.ChannelCredentials;
import io.grpc.ClientCall;
import io.grpc.Grpc;
import io.grpc.HandlerRegistry;
import io.grpc.InsecureChannelCredentials;
import io.grpc.InsecureServerCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.Server;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.ServerCredentials;
import io.grpc.ServerMethodDefinition;
import io.grpc.Status;
import io.grpc.TlsChannelCredentials;
import io.grpc.TlsServerCredentials;
import io.grpc.netty.shaded.io.grpc.netty.NettyServerBuilder;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

public final class GrpcPeer {
    private static final Gson JSON = new Gson();
    private static final Metadata.Key<String> PLAN = Metadata.Key.of("plan", Metadata.ASCII_STRING_MARSHALLER);
    private static final Metadata.Key<String> TOOK = Metadata.Key.of("server-took", Metadata.ASCII_STRING_MARSHALLER);
    private static final ScheduledExecutorService LATER = Executors.newScheduledThreadPool(1);

    private static final MethodDescriptor.Marshaller<byte[]> AS_IS = new MethodDescriptor.Marshaller<>() {
        @Override
        public InputStream stream(byte[] message) {
            return new ByteArrayInputStream(message);
        }

        @Override
        public byte[] parse(InputStream message) {
            try {
                return message.readAllBytes();
            } catch (IOException e) {
                throw new UncheckedIOException(e);
            }
        }
    };

    private static MethodDescriptor<byte[], byte[]> method(String name, MethodType type) {
        return MethodDescriptor.newBuilder(AS_IS, AS_IS).setFullMethodName(name).setType(type).build();
    }

    private static synchronized void say(Map<String, ?> line) {
        System.out.println(JSON.toJson(line));
        System.out.flush();
    }

    // Server

    /** Does with a call what its metadata asks for, which is a query. */
    private static final class Answer extends ServerCall.Listener<byte[]> {
        private final ServerCall<byte[], byte[]> call;
        private final Map<String, Integer> plan = new HashMap<>();
        private final byte[] message;
        private boolean hasBegun;

        Answer(ServerCall<byte[], byte[]> call, Metadata headers) {
            this.call = call;
            for (String pair : headers.get(PLAN).split("&")) {
                String[] parts = pair.split("=");
                plan.put(parts[0], Integer.parseInt(parts[1]));
            }
            message = new byte[number("size")];
            call.request(1);
        }

        private int number(String name) {
            return plan.getOrDefault(name, 0);
        }

        private void send() {
            // What ends without a message is trailers alone.
            if (!hasBegun) call.sendHeaders(new Metadata());
            hasBegun = true;
            call.sendMessage(message);
        }

        @Override
        public void onMessage(byte[] request) {
            if (number("each") > 0) send();
            call.request(1);
        }

        @Override
        public void onHalfClose() {
            if (number("delay") > 0) LATER.schedule(this::finish, number("delay"), TimeUnit.MILLISECONDS);
            else finish();
        }

        private void finish() {
            if (call.isCancelled()) return;
            for (int i = 0; i < number("messages"); i++) send();
            if (number("hold") > 0) return;
            Metadata trailers = new Metadata();
            trailers.put(TOOK, "1");
            Status status = Status.fromCodeValue(number("code"));
            call.close(status.isOk() ? status : status.withDescription("as asked for"), trailers);
        }
    }

    private static final class AnyMethod extends HandlerRegistry {
        @Override
        public ServerMethodDefinition<?, ?> lookupMethod(String name, String authority) {
            ServerCallHandler<byte[], byte[]> handler = Answer::new;
            return ServerMethodDefinition.create(method(name, MethodType.BIDI_STREAMING), handler);
        }
    }

    private static void serve(InetSocketAddress where) throws IOException {
        String certificate = System.getenv("TLS_CERTIFICATE");
        ServerCredentials credentials = InsecureServerCredentials.create();
        if (certificate != null) credentials = TlsServerCredentials.create(new File(certificate), new File(System.getenv("TLS_KEY")));
        Server server = NettyServerBuilder.forAddress(where, credentials).fallbackHandlerRegistry(new AnyMethod()).build().start();
        say(Map.of("kind", "listening", "pid", ProcessHandle.current().pid(), "port", server.getPort()));
        while (System.in.read() >= 0);
    }

    // Client

    /** A call that is under way. */
    private static final class Asking extends ClientCall.Listener<byte[]> {
        private final ClientCall<byte[], byte[]> call;
        private final JsonObject planned;
        private final boolean isBidirectional;
        private final byte[] message;
        private final CountDownLatch over = new CountDownLatch(1);
        private int left;
        private int responses;
        private int size;

        Asking(ManagedChannel channel, JsonObject planned) {
            this.planned = planned;
            String shape = planned.get("shape").getAsString();
            MethodType type = switch (shape) {
                case "unary" -> MethodType.UNARY;
                case "server" -> MethodType.SERVER_STREAMING;
                case "client" -> MethodType.CLIENT_STREAMING;
                default -> MethodType.BIDI_STREAMING;
            };
            isBidirectional = type == MethodType.BIDI_STREAMING;
            left = type.clientSendsOneMessage() ? 1 : planned.get("requests").getAsInt();
            message = new byte[planned.get("requestSize").getAsInt()];
            CallOptions options = CallOptions.DEFAULT;
            if (planned.has("deadline")) options = options.withDeadlineAfter(planned.get("deadline").getAsLong(), TimeUnit.MILLISECONDS);
            call = channel.newCall(method(planned.get("method").getAsString(), type), options);
        }

        void make() throws InterruptedException {
            Metadata headers = new Metadata();
            headers.put(PLAN, planned.get("plan").getAsString());
            call.start(this, headers);
            call.request(Integer.MAX_VALUE);
            if (isBidirectional) {
                send();
            } else {
                while (left > 0) send();
                call.halfClose();
            }
            over.await();
        }

        private void send() {
            left--;
            call.sendMessage(message);
        }

        @Override
        public void onMessage(byte[] response) {
            responses++;
            size += response.length;
            if (planned.has("cancel")) call.cancel("as planned", null);
            else if (isBidirectional && left > 0) send(); // a request for each answer
            else if (isBidirectional) call.halfClose();
        }

        @Override
        public void onClose(Status status, Metadata trailers) {
            String id = planned.get("id").getAsString();
            say(Map.of("kind", "call", "id", id, "code", status.getCode().value(), "responses", responses, "size", size));
            over.countDown();
        }
    }

    private static void run(List<ManagedChannel> channels, JsonObject plan) throws InterruptedException {
        Queue<JsonObject> calls = new ConcurrentLinkedQueue<>();
        plan.getAsJsonArray("calls").forEach(planned -> calls.add(planned.getAsJsonObject()));
        int connections = plan.get("connections").getAsInt();
        List<Thread> workers = new ArrayList<>();
        for (int i = 0; i < connections * plan.get("streams").getAsInt(); i++) {
            ManagedChannel channel = channels.get(i % connections);
            Thread worker = new Thread(() -> {
                try {
                    for (JsonObject planned = calls.poll(); planned != null; planned = calls.poll()) new Asking(channel, planned).make();
                } catch (InterruptedException e) {
                    throw new IllegalStateException(e);
                }
            });
            worker.start();
            workers.add(worker);
        }
        for (Thread worker : workers) worker.join();
        say(Map.of("kind", "done"));
    }

    private static void ask(String where) throws IOException, InterruptedException {
        ChannelCredentials credentials = InsecureChannelCredentials.create();
        if (System.getenv("TLS") != null) {
            credentials = TlsChannelCredentials.newBuilder().trustManager(new File(System.getenv("TLS_CERTIFICATE"))).build();
        }
        List<ManagedChannel> channels = new ArrayList<>(); // each with a connection of its own, which stays open between plans
        BufferedReader plans = new BufferedReader(new InputStreamReader(System.in));
        say(Map.of("kind", "ready", "pid", ProcessHandle.current().pid()));
        for (String line = plans.readLine(); line != null; line = plans.readLine()) {
            JsonObject plan = JSON.fromJson(line, JsonObject.class);
            while (channels.size() < plan.get("connections").getAsInt()) {
                channels.add(Grpc.newChannelBuilder(where, credentials).build());
            }
            run(channels, plan);
        }
    }

    public static void main(String[] args) throws Exception {
        if (args.length != 2) throw new IllegalArgumentException("usage: GrpcPeer server|client HOST:PORT");
        String[] where = args[1].split(":");
        if (args[0].equals("server")) serve(new InetSocketAddress(where[0], Integer.parseInt(where[1])));
        else ask(args[1]);
        System.exit(0);
    }
}

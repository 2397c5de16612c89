import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.net.http.WebSocketHandshakeException;
import java.nio.ByteBuffer;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;

/** The conversation with the client of java.net.http. */
public class Client {
    /** Queues whole messages, pongs and the close. */
    static class Peer implements WebSocket.Listener {
        final BlockingQueue<String> events = new LinkedBlockingQueue<>();
        private final StringBuilder text = new StringBuilder();
        private int bytes;

        public CompletionStage<?> onText(WebSocket ws, CharSequence part, boolean last) {
            text.append(part);
            if (last) {
                events.add("text " + text);
                text.setLength(0);
            }
            ws.request(1);
            return null;
        }

        public CompletionStage<?> onBinary(WebSocket ws, ByteBuffer part, boolean last) {
            bytes += part.remaining();
            if (last) {
                events.add("binary " + bytes);
                bytes = 0;
            }
            ws.request(1);
            return null;
        }

        public CompletionStage<?> onPong(WebSocket ws, ByteBuffer message) {
            events.add("pong " + message.remaining());
            ws.request(1);
            return null;
        }

        public CompletionStage<?> onClose(WebSocket ws, int code, String reason) {
            events.add("close " + code + " " + reason);
            return null;
        }

        public void onError(WebSocket ws, Throwable error) {
            events.add("error " + error);
        }

        void want(String want) throws Exception {
            String got = events.poll(20, TimeUnit.SECONDS);
            if (!want.equals(got)) {
                throw new AssertionError("got " + shorten(got) + ", want " + shorten(want));
            }
        }

        private static String shorten(String s) {
            return s == null || s.length() < 80 ? s : s.substring(0, 80) + "... of " + s.length();
        }
    }

    static final HttpClient http = HttpClient.newHttpClient();

    static WebSocket open(String url, Peer peer) {
        return http.newWebSocketBuilder().subprotocols("foo", "lab.v1").buildAsync(URI.create(url), peer).join();
    }

    public static void main(String[] args) throws Exception {
        String base = "ws://" + args[0];
        Peer peer = new Peer();
        WebSocket ws = open(base + "/echo", peer);
        if (!"lab.v1".equals(ws.getSubprotocol())) {
            throw new AssertionError("subprotocol " + ws.getSubprotocol());
        }
        for (String text : new String[] {"hello", "", "grüß dich, κόσμε 😀", "x".repeat(1 << 20)}) {
            ws.sendText(text, true).join();
            peer.want("text " + text);
        }
        ws.sendText("two ", false).join();
        ws.sendText("fragments", true).join();
        peer.want("text two fragments");
        for (int n : new int[] {0, 125, 65536, 1 << 20}) {
            ws.sendBinary(ByteBuffer.allocate(n), true).join();
            peer.want("binary " + n);
        }
        ws.sendPing(ByteBuffer.allocate(10)).join();
        peer.want("pong 10");
        ws.sendClose(4001, "done").join();
        peer.want("close 4001 done");

        peer = new Peer();
        open(base + "/hello", peer);
        peer.want("text welcome");

        peer = new Peer();
        ws = open(base + "/verdict", peer);
        ws.sendText("{\"code\":4002,\"reason\":\"grüß\"}", true).join();
        peer.want("close 4002 grüß");

        try {
            open(base + "/nothing", new Peer());
            throw new AssertionError("a path without a route opened");
        } catch (CompletionException e) {
            int status = ((WebSocketHandshakeException) e.getCause()).getResponse().statusCode();
            if (status != 404) {
                throw new AssertionError("refused with " + status);
            }
        }
        System.out.println("ok");
        System.exit(0);
    }
}

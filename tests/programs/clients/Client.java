import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Instant;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import static java.nio.charset.StandardCharsets.UTF_8;

/**
 * Client LIBRARY MODE URL: a program as people write it with a client of Java's own.
 *
 * LIBRARY: client (java.net.http.HttpClient); connection (java.net.HttpURLConnection)
 * URL: up to and with /v1
 * MODE: ask     the models and a chat; each status and body
 *       stream  a chat as it is made: for each event how late it is here, in seconds
 *       again   a chat; after a 429 once more, when Retry-After says so
 */
class Client {
    record Response(int status, String retryAfter, InputStream body) {
        String text() throws IOException {
            return body == null ? "" : new String(body.readAllBytes(), UTF_8);
        }
    }

    static final HttpClient CLIENT = HttpClient.newHttpClient();

    final boolean modern;
    final String url;

    Client(String library, String url) {
        this.modern = library.equals("client");
        this.url = url;
    }

    Response byClient(String path, String question) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(url + path))
            .header("Authorization", "Bearer programs-own")
            .header("Content-Type", "application/json");
        if (question != null)
            request.POST(HttpRequest.BodyPublishers.ofString(question));
        var response = CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofInputStream());
        return new Response(response.statusCode(),
            response.headers().firstValue("Retry-After").orElse(null), response.body());
    }

    Response byConnection(String path, String question) throws Exception {
        var connection = (HttpURLConnection) URI.create(url + path).toURL().openConnection();
        connection.setRequestProperty("Authorization", "Bearer programs-own");
        connection.setRequestProperty("Content-Type", "application/json");
        if (question != null) {
            connection.setDoOutput(true);
            connection.getOutputStream().write(question.getBytes(UTF_8));
        }
        int status = connection.getResponseCode();
        return new Response(status, connection.getHeaderField("Retry-After"),
            status < 400 ? connection.getInputStream() : connection.getErrorStream());
    }

    Response send(String path, String question) throws Exception {
        return modern ? byClient(path, question) : byConnection(path, question);
    }

    Response chat(String more) throws Exception {
        return send("/chat/completions", "{\"model\": \"gpt-4\", \"messages\": "
            + "[{\"role\": \"user\", \"content\": \"h\u00e9llo\"}]" + more + "}");
    }

    static String field(String json, String name) {
        Matcher found = Pattern.compile("\"" + name + "\": *\"?([^\",}]*)").matcher(json);
        return found.find() ? found.group(1) : null;
    }

    static void print(Object... words) {
        var line = new StringBuilder();
        for (Object word : words)
            line.append(line.length() == 0 ? "" : " ").append(word);
        System.out.println(line);
    }

    static double now() {
        Instant now = Instant.now();
        return now.getEpochSecond() + now.getNano() / 1e9;
    }

    void ask() throws Exception {
        Response models = send("/models", null);
        print(models.status(), models.text());
        Response chat = chat("");
        print(chat.status(), chat.text());
    }

    void stream() throws Exception {
        Response response = chat(", \"stream\": true");
        print(response.status());
        var reader = new BufferedReader(new InputStreamReader(response.body(), UTF_8));
        for (String line; (line = reader.readLine()) != null;)
            if (line.startsWith("data: {"))
                print("late", now() - Double.parseDouble(field(line, "sent")));
    }

    void again() throws Exception {
        Response response = chat("");
        if (response.status() == 429) {
            print(429, response.retryAfter(), field(response.text(), "type"));
            Thread.sleep(1000 * Long.parseLong(response.retryAfter()));
            response = chat("");
        }
        print(response.status(), field(response.text(), "object"));
    }

    public static void main(String[] arguments) throws Exception {
        var client = new Client(arguments[0], arguments[2]);
        switch (arguments[1]) {
            case "ask" -> client.ask();
            case "stream" -> client.stream();
            case "again" -> client.again();
            default -> throw new IllegalArgumentException(arguments[1]);
        }
    }
}

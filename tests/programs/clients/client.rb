# client.rb MODE URL: a program as people write it with Ruby's net/http.
#
# URL: up to and with /v1
# MODE: ask     the models and a chat; each status and body
#       stream  a chat as it is made: for each event how late it is here, in seconds
#       again   a chat; after a 429 once more, when Retry-After says so
require 'json'
require 'net/http'

HEADERS = { 'Authorization' => 'Bearer programs-own', 'Content-Type' => 'application/json' }.freeze
QUESTION = { model: 'gpt-4', messages: [{ role: 'user', content: "h\u00e9llo" }] }.freeze
MODE, URL = ARGV
BASE = URI(URL)
$stdout.sync = true

def chat(more = {})
  request = Net::HTTP::Post.new("#{BASE.path}/chat/completions", HEADERS)
  request.body = JSON.generate(QUESTION.merge(more))
  request
end

def ask(http)
  [Net::HTTP::Get.new("#{BASE.path}/models", HEADERS), chat].each do |request|
    response = http.request(request)
    puts "#{response.code} #{response.body}"
  end
end

def stream(http)
  http.request(chat(stream: true)) do |response|
    puts response.code
    rest = +''
    response.read_body do |chunk|
      *lines, rest = (rest + chunk).split("\n", -1)
      lines.grep(/\Adata: \{/).each do |line|
        puts "late #{Time.now.to_f - JSON.parse(line[6..])['spillway_mock']['sent']}"
      end
    end
  end
end

def again(http)
  response = http.request(chat)
  if response.code == '429'
    puts "429 #{response['Retry-After']} #{JSON.parse(response.body)['error']['type']}"
    sleep response['Retry-After'].to_i
    response = http.request(chat)
  end
  puts "#{response.code} #{JSON.parse(response.body)['object']}"
end

Net::HTTP.start(BASE.host, BASE.port, use_ssl: BASE.scheme == 'https', read_timeout: 20) do |http|
  { 'ask' => method(:ask), 'stream' => method(:stream), 'again' => method(:again) }[MODE].call(http)
end

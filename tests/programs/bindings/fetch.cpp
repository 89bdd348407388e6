// fetch URL: libcurl as a C++ program may use it: an object that makes a transfer before main, one
// per thread, one by the multi interface, and one whose callback's exception is carried over.
#include <curl/curl.h>

#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

class Fetch {
  public:
    explicit Fetch(const std::string &url, bool throws = false)
        : curl_(curl_easy_init(), curl_easy_cleanup), throws_(throws) {
        set(CURLOPT_URL, url.c_str());
        set(CURLOPT_WRITEFUNCTION, &Fetch::on_body);
        set(CURLOPT_WRITEDATA, this);
    }

    Fetch &perform() {
        finish(curl_easy_perform(get()));
        return *this;
    }

    void finish(CURLcode result) {
        curl_easy_getinfo(get(), CURLINFO_RESPONSE_CODE, &code_);
        result_ = result;
        if (error_)
            std::rethrow_exception(error_);
    }

    CURL *get() const {
        return curl_.get();
    }

    void show(const char *what) const {
        std::cout << what << ": " << result_ << ' ' << code_ << ' ' << body_ << '\n';
    }

  private:
    template <typename T> void set(CURLoption option, T value) {
        if (curl_easy_setopt(get(), option, value) != CURLE_OK)
            throw std::runtime_error("setopt");
    }

    static size_t on_body(char *data, size_t size, size_t count, void *userdata) {
        auto *fetch = static_cast<Fetch *>(userdata);
        try {
            if (fetch->throws_)
                throw std::runtime_error("thrown in the callback");
            fetch->body_.append(data, size * count);
        } catch (...) {
            fetch->error_ = std::current_exception();
            return 0;
        }
        return size * count;
    }

    std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl_;
    bool throws_;
    std::string body_;
    std::exception_ptr error_;
    CURLcode result_ = CURLE_OK;
    long code_ = 0;
};

std::string url_before_main() {
    const char *url = std::getenv("FETCH_URL");
    return url ? url : "";
}

Fetch early(url_before_main());
const bool early_done = (early.perform(), true);

void run_multi(const std::string &url) {
    std::unique_ptr<CURLM, decltype(&curl_multi_cleanup)> multi(curl_multi_init(),
                                                                curl_multi_cleanup);
    Fetch fetch(url);
    int running = 0, left = 0;
    curl_multi_add_handle(multi.get(), fetch.get());
    do {
        curl_multi_perform(multi.get(), &running);
        if (running)
            curl_multi_poll(multi.get(), nullptr, 0, 1000, nullptr);
    } while (running);
    while (CURLMsg *message = curl_multi_info_read(multi.get(), &left))
        fetch.finish(message->data.result);
    curl_multi_remove_handle(multi.get(), fetch.get());
    fetch.show("multi");
}

} // namespace

int main() {
    const std::string url = url_before_main();
    early.show("before main");
    std::vector<std::unique_ptr<Fetch>> fetches;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++)
        fetches.push_back(std::make_unique<Fetch>(url));
    for (auto &fetch : fetches)
        threads.emplace_back([&fetch] { fetch->perform(); });
    for (auto &thread : threads)
        thread.join();
    for (auto &fetch : fetches)
        fetch->show("thread");
    run_multi(url);
    try {
        Fetch(url, true).perform();
    } catch (const std::runtime_error &error) {
        std::cout << error.what() << '\n';
    }
    return early_done ? 0 : 1;
}

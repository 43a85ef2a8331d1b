#include "apps/guard/overseer.hpp"

#include <algorithm>
#include <future>

#include <nlohmann/json.hpp>

#include "apps/guard/question_json.hpp"

namespace plumbline::guard {

using runtime::Guard;
using runtime::Instant;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::uint64_t kAnswerBytes = 64U << 10U;

/// Hands a command to the guard's thread and waits for what it says. Nothing where the loop takes no command.
template <class T>
std::optional<T> on_loop(runtime::GuardLoop& loop,
                         const std::function<void(Guard&, Instant, std::shared_ptr<std::promise<T>>)>& command) {
  std::future<T> said;
  {
    auto promise = std::make_shared<std::promise<T>>();
    said = promise->get_future();
    if (!loop.post([promise, command](Guard& guard, Instant now) { command(guard, now, promise); }))
      return std::nullopt;
  }
  // A loop that ends before its turn drops the command, and the promise with it.
  try {
    return said.get();
  } catch (const std::future_error&) {
    return std::nullopt;
  }
}

}  // namespace

struct RemoteOverseer::Task {
  std::uint64_t question = 0;
  Instant until = 0;  ///< an answer counts before this
  std::string body;
};

base::Result<std::unique_ptr<RemoteOverseer>> RemoteOverseer::start(runtime::GuardLoop& loop, Options options) {
  PL_TRY(const predict::HttpClient trial, predict::HttpClient::open(options.address, options.ca_file));
  static_cast<void>(trial);
  return std::unique_ptr<RemoteOverseer>(new RemoteOverseer(loop, std::move(options)));
}

RemoteOverseer::RemoteOverseer(runtime::GuardLoop& loop, Options options) : loop_(loop), options_(std::move(options)) {
  thread_ = std::thread([this] { work(); });
}

RemoteOverseer::~RemoteOverseer() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  wakes_.notify_all();
  thread_.join();
}

OverseerCounts RemoteOverseer::counts() const { return {asked_, answered_, passed_, failed_}; }

bool RemoteOverseer::wait() {
  std::unique_lock lock(mutex_);
  wakes_.wait_for(lock, options_.pause, [this] { return ending_; });
  return !ending_;
}

void RemoteOverseer::work() {
  while (wait()) {
    while (const auto task = take()) {
      ++asked_;
      switch (say(*task, ask(*task))) {
        case Said::kAnswered: ++answered_; break;
        case Said::kPassed: ++passed_; break;
        case Said::kNothing: ++failed_; break;
      }
      const std::lock_guard lock(mutex_);
      if (ending_) return;
    }
  }
}

/// A question that it now holds, its lease durable.
std::unique_ptr<RemoteOverseer::Task> RemoteOverseer::take() {
  auto task = std::make_shared<Task>();
  const auto command = [this, task](Guard& guard, Instant now, const std::shared_ptr<std::promise<bool>>& said) {
    const auto leased = guard.lease(std::string(kOverseerName), now);
    if (!leased.ok() || leased->question == 0) return said->set_value(false);
    const runtime::OpenQuestion& item = guard.state().queue().open().at(leased->question);
    task->question = leased->question;
    task->until = std::min(item.question.deadline, item.lease->until);
    task->body = question_json(guard, leased->question, now).dump(-1, ' ', false, Json::error_handler_t::replace);
    loop_.when_durable(leased->frame, [said](const base::Status& status) { said->set_value(status.ok()); });
  };
  const auto taken = on_loop<bool>(loop_, command);
  if (!taken || !*taken) return nullptr;
  return std::make_unique<Task>(std::move(*task));
}

/// What the other side said, as text; empty: nothing in time.
std::string RemoteOverseer::ask(const Task& task) const {
  const auto left = std::chrono::milliseconds((task.until - loop_.now()) / runtime::kMillisecond) - options_.reserve;
  if (left.count() <= 0) return {};
  predict::HttpLimits limits;
  limits.connect_timeout = limits.request_timeout = left;
  limits.answer_bytes = kAnswerBytes;
  const auto client = predict::HttpClient::open(options_.address, options_.ca_file, limits);
  if (!client.ok()) return {};
  predict::HttpQuestion question;
  question.body = task.body;
  question.headers = {{"Content-Type", "application/json"}};
  const auto answer = client->ask(std::move(question));
  return answer.ok() && answer->status == 200 ? answer->body : std::string();
}

RemoteOverseer::Said RemoteOverseer::say(const Task& task, const std::string& answer) {
  const Json json = Json::parse(answer, nullptr, false);
  const bool object = json.is_object() && json.size() == 1;
  const auto is_true = [&](const char* key) {
    return object && json.contains(key) && json[key].is_boolean() && json[key].get<bool>();
  };
  const bool passes = is_true("pass");
  const bool vetoes = is_true("veto");
  const bool chooses = object && json.contains("action") && json["action"].is_string();
  const std::string action = chooses ? json["action"].get<std::string>() : std::string();
  const auto command = [vetoes, chooses, action, question = task.question](
                           Guard& guard, Instant now, const std::shared_ptr<std::promise<bool>>& said) {
    const std::string name(kOverseerName);
    const bool counts = vetoes    ? guard.veto(name, question, now).ok()
                        : chooses ? guard.answer(name, question, action, now).ok()
                                  : false;
    // A question that is over in the meantime needs no giving back.
    if (!counts) (void)guard.release(name, question, now, true);
    said->set_value(counts);
  };
  if (on_loop<bool>(loop_, command).value_or(false)) return Said::kAnswered;
  return passes ? Said::kPassed : Said::kNothing;
}

}  // namespace plumbline::guard

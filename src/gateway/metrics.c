/* The gateway's figures as Prometheus text; names and bounds follow OpenTelemetry's semantic conventions for generative AI. */
#include "base/clock.h"
#include "flight.h"
#include "gateway_private.h"

static const double bounds_s[FH_METRIC_BOUNDS] = {0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 10.24, 40.96, 81.92};
static const char *const operation_names[FH_OP_COUNT] = {"chat", "text_completion", "tokenize", "count_tokens", "embeddings"};

const char *fh_operation_name(fh_operation op)
{
    return operation_names[op];
}

void fh_histogram_add(fh_histogram *h, int64_t ns)
{
    size_t i = 0;
    while (i < FH_METRIC_BOUNDS && (double)ns > bounds_s[i] * 1e9) i++;
    h->buckets[i]++;
    h->count++;
    h->sum_ns += ns;
}

static void write_histogram(fh_buf *out, const char *name, const char *operation, const fh_histogram *h)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < FH_METRIC_BOUNDS; i++) {
        sum += h->buckets[i];
        fh_buf_addf(out, "%s_bucket{gen_ai_operation_name=\"%s\",le=\"%g\"} %llu\n", name, operation, bounds_s[i], (unsigned long long)sum);
    }
    fh_buf_addf(out, "%s_bucket{gen_ai_operation_name=\"%s\",le=\"+Inf\"} %llu\n", name, operation, (unsigned long long)h->count);
    fh_buf_addf(out, "%s_sum{gen_ai_operation_name=\"%s\"} %.6f\n", name, operation, (double)h->sum_ns / 1e9);
    fh_buf_addf(out, "%s_count{gen_ai_operation_name=\"%s\"} %llu\n", name, operation, (unsigned long long)h->count);
}

static void write_histograms(fh_buf *out, const char *name, const char *help, const fh_histogram *list)
{
    fh_buf_addf(out, "# HELP %s %s\n# TYPE %s histogram\n", name, help, name);
    for (size_t i = 0; i < FH_OP_COUNT; i++) write_histogram(out, name, operation_names[i], &list[i]);
}

static void write_one(fh_buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
    fh_buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name, (unsigned long long)value);
}

static void write_by_operation(fh_buf *out, const char *name, const char *help, const _Atomic uint64_t *values)
{
    fh_buf_addf(out, "# HELP %s %s\n# TYPE %s counter\n", name, help, name);
    for (size_t i = 0; i < FH_OP_COUNT; i++)
        fh_buf_addf(out, "%s{gen_ai_operation_name=\"%s\"} %llu\n", name, operation_names[i], (unsigned long long)values[i]);
}

static void add_histogram(fh_histogram *sum, const fh_histogram *h)
{
    for (size_t i = 0; i <= FH_METRIC_BOUNDS; i++) sum->buckets[i] += h->buckets[i];
    sum->count += h->count;
    sum->sum_ns += h->sum_ns;
}

static void add_lane(fh_metrics *sum, const fh_metrics *m)
{
    for (size_t i = 0; i < FH_OP_COUNT; i++) {
        add_histogram(&sum->duration[i], &m->duration[i]);
        add_histogram(&sum->first_byte[i], &m->first_byte[i]);
        sum->finished[i] += m->finished[i];
        sum->failed[i] += m->failed[i];
    }
    sum->retried += m->retried;
    sum->resumed += m->resumed;
    sum->limited += m->limited;
    sum->stalled += m->stalled;
    sum->prompt_tok += m->prompt_tok;
    sum->completion_tok += m->completion_tok;
    sum->cut += m->cut;
    sum->cancelled += m->cancelled;
    sum->in_flight += m->in_flight;
    for (size_t i = 0; i < FH_CACHE_STATES; i++) sum->cache[i] += m->cache[i];
    sum->cached_tok += m->cached_tok;
}

static void write_cache(const fh_gateway *g, fh_buf *out, const fh_metrics *m)
{
    static const char *const results[FH_CACHE_STATES] = {"off", "miss", "hit", "joined"};
    fh_flights_figures f = {0};
    fh_buf_adds(out, "# HELP freehold_gateway_cache_requests_total Requests by what the cache of answers did for them.\n"
                     "# TYPE freehold_gateway_cache_requests_total counter\n");
    for (size_t i = 0; i < FH_CACHE_STATES; i++)
        fh_buf_addf(out, "freehold_gateway_cache_requests_total{result=\"%s\"} %llu\n", results[i], (unsigned long long)m->cache[i]);
    if (g->flights) fh_flights_look(g->flights, &f);
    write_one(out, "freehold_gateway_cache_tokens_total", "counter", "Tokens of answers that were kept, each time they were given.",
              m->cached_tok);
    write_one(out, "freehold_gateway_cache_answers", "gauge", "Answers that are kept.", f.cache.entries);
    write_one(out, "freehold_gateway_cache_bytes", "gauge", "Bytes of answers that are kept.", f.cache.bytes);
    write_one(out, "freehold_gateway_cache_evicted_total", "counter", "Answers that had to go for others.", f.cache.evicted);
    write_one(out, "freehold_gateway_cache_expired_total", "counter", "Answers whose time was over.", f.cache.expired);
    write_one(out, "freehold_gateway_flights", "gauge", "Calls that several requests may share, now.", f.flights);
    write_one(out, "freehold_gateway_flight_bytes", "gauge", "Bytes of their answers that are held.", f.bytes);
    write_one(out, "freehold_gateway_cut_loose_total", "counter", "Streams that ended because they were read too slowly beside others.",
              f.cut_loose);
}

void fh_gateway_metrics(const fh_gateway *g, fh_buf *out)
{
    fh_metrics sum = {0}, *m = &sum;
    for (size_t i = 0; i < g->lane_count; i++) add_lane(m, &g->lanes[i].metrics);
    write_histograms(out, "gen_ai_server_request_duration_seconds", "Time from a request to the end of its reply.", m->duration);
    write_histograms(out, "gen_ai_server_time_to_first_token_seconds", "Time from a request to the first byte of its answer.",
                     m->first_byte);
    write_by_operation(out, "freehold_gateway_requests_total", "Requests that ended with a reply of an engine.", m->finished);
    write_by_operation(out, "freehold_gateway_failures_total", "Requests that ended with an error of ours or of an engine.", m->failed);
    write_one(out, "freehold_gateway_in_flight", "gauge", "Requests that run now.", m->in_flight);
    write_one(out, "freehold_gateway_retries_total", "counter", "Requests that were sent to a second replica.", m->retried);
    write_one(out, "freehold_gateway_streams_resumed_total", "counter", "Streams that another replica went on with.", m->resumed);
    write_one(out, "freehold_gateway_limited_total", "counter", "Requests that were beyond what their key may ask.", m->limited);
    write_one(out, "freehold_gateway_stalls_total", "counter", "Replicas that fell silent in the middle of a stream.", m->stalled);
    write_one(out, "freehold_gateway_prompt_tokens_total", "counter", "Tokens of prompts.", m->prompt_tok);
    write_one(out, "freehold_gateway_completion_tokens_total", "counter", "Tokens of answers.", m->completion_tok);
    write_one(out, "freehold_gateway_streams_cut_total", "counter", "Streams that broke in the middle.", m->cut);
    write_one(out, "freehold_gateway_cancelled_total", "counter", "Requests whose client left.", m->cancelled);
    write_cache(g, out, m);
}

/* The gateway's figures as Prometheus text: the series (series.c), and what has no labels. */
#include "flight.h"
#include "gateway/traffic.h"
#include "gateway_private.h"

#include <stdio.h>

static const char *const operation_names[FH_OP_COUNT] = {"chat", "text_completion", "tokenize", "count_tokens", "embeddings"};

const char *fh_operation_name(fh_operation op)
{
    return operation_names[op];
}

static void write_one(fh_buf *out, const char *name, const char *type, const char *help, uint64_t value)
{
    fh_buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name, (unsigned long long)value);
}

static uint64_t cached(const fh_gateway *g, size_t state)
{
    uint64_t n = 0;
    for (size_t i = 0; i < g->lane_count; i++) n += g->lanes[i].metrics.cache[state];
    return n;
}

static uint64_t cached_tokens(const fh_gateway *g)
{
    uint64_t n = 0;
    for (size_t i = 0; i < g->lane_count; i++) n += g->lanes[i].metrics.cached_tok;
    return n;
}

static void write_cache(const fh_gateway *g, fh_buf *out)
{
    static const char *const results[FH_CACHE_STATES] = {"off", "miss", "hit", "joined"};
    fh_flights_figures f = {0};
    fh_buf_adds(out, "# HELP freehold_gateway_cache_requests_total Requests by what the cache of answers did for them.\n"
                     "# TYPE freehold_gateway_cache_requests_total counter\n");
    for (size_t i = 0; i < FH_CACHE_STATES; i++)
        fh_buf_addf(out, "freehold_gateway_cache_requests_total{result=\"%s\"} %llu\n", results[i], (unsigned long long)cached(g, i));
    if (g->flights) fh_flights_look(g->flights, &f);
    write_one(out, "freehold_gateway_cache_tokens_total", "counter", "Tokens of answers that were kept, each time they were given.",
              cached_tokens(g));
    write_one(out, "freehold_gateway_cache_answers", "gauge", "Answers that are kept.", f.cache.entries);
    write_one(out, "freehold_gateway_cache_bytes", "gauge", "Bytes of answers that are kept.", f.cache.bytes);
    write_one(out, "freehold_gateway_cache_evicted_total", "counter", "Answers that had to go for others.", f.cache.evicted);
    write_one(out, "freehold_gateway_cache_expired_total", "counter", "Answers whose time was over.", f.cache.expired);
    write_one(out, "freehold_gateway_flights", "gauge", "Calls that several requests may share, now.", f.flights);
    write_one(out, "freehold_gateway_flight_bytes", "gauge", "Bytes of their answers that are held.", f.bytes);
    write_one(out, "freehold_gateway_cut_loose_total", "counter", "Streams that ended because they were read too slowly beside others.",
              f.cut_loose);
}

static void write_counted(const fh_gateway *g, fh_buf *out)
{
    static const char name[] = "freehold_gateway_counted_total";
    uint64_t by[FH_COUNTED] = {0}, uncounted = 0;
    for (size_t i = 0; i < g->lane_count; i++) {
        for (size_t k = 0; k < FH_COUNTED; k++) by[k] += g->lanes[i].metrics.counted[k];
        uncounted += g->lanes[i].metrics.uncounted;
    }
    fh_buf_addf(out, "# HELP %s Requests by who counted their tokens.\n# TYPE %s counter\n", name, name);
    for (int k = FH_COUNTED_FREEHOLD; k < FH_COUNTED; k++)
        fh_buf_addf(out, "%s{by=\"%s\"} %llu\n", name, fh_counted_name((fh_counted)k), (unsigned long long)by[k]);
    write_one(out, "freehold_gateway_uncounted_total", "counter",
              "Requests whose tokens should have been counted here and could not be: too much at once, or too long.", uncounted);
}

static void write_kept_usage(const fh_gateway *g, fh_buf *out)
{
    fh_usage_counts c = {0};
    if (g->config.usage) fh_usage_store_counts(g->config.usage, &c);
    write_one(out, "freehold_usage_records_total", "counter", "Records of what requests used that were written.", c.written);
    write_one(out, "freehold_usage_dropped_total", "counter",
              "Records of what requests used that were lost: the disk did not keep up, or is full.", c.dropped);
}

/* By priority: how many wait, and how long those waited who do not any more. */
static void write_queue(const fh_gateway *g, fh_buf *out)
{
    static const char waiting[] = "freehold_gateway_queue_waiting";
    uint64_t turned_away = 0, waits[FH_PRIORITIES] = {0};
    fh_histogram_sums sums[FH_PRIORITIES] = {{.sum = 0}};
    char labels[64];
    for (size_t i = 0; i < g->lane_count; i++) {
        const fh_metrics *m = &g->lanes[i].metrics;
        turned_away += m->turned_away;
        for (size_t p = 0; p < FH_PRIORITIES; p++) {
            waits[p] += m->waiting[p];
            fh_histogram_collect(&m->queued[p], &sums[p]);
        }
    }
    fh_buf_addf(out, "# HELP %s Requests that wait for a replica with room.\n# TYPE %s gauge\n", waiting, waiting);
    for (int p = 0; p < FH_PRIORITIES; p++)
        fh_buf_addf(out, "%s{priority=\"%s\"} %llu\n", waiting, fh_priority_name((fh_priority)(p + FH_PRIORITY_LOW)),
                    (unsigned long long)waits[p]);
    fh_histogram_head(out, FH_MEASURE_QUEUE);
    for (int p = 0; p < FH_PRIORITIES; p++) {
        snprintf(labels, sizeof labels, "priority=\"%s\"", fh_priority_name((fh_priority)(p + FH_PRIORITY_LOW)));
        fh_histogram_write(out, FH_MEASURE_QUEUE, labels, &sums[p]);
    }
    write_one(out, "freehold_gateway_turned_away_total", "counter", "Requests that waited too long or were too many to wait.", turned_away);
}

static void write_choices(const fh_gateway *g, fh_buf *out)
{
    uint64_t escalated = 0, wasted = 0;
    for (size_t i = 0; i < g->lane_count; i++) {
        escalated += g->lanes[i].metrics.escalated;
        wasted += g->lanes[i].metrics.wasted_tok;
    }
    write_one(out, "freehold_gateway_escalations_total", "counter", "Answers that did not do, for which another model was asked.",
              escalated);
    write_one(out, "freehold_gateway_unsent_tokens_total", "counter", "Tokens of those answers and their prompts.", wasted);
}

void fh_gateway_metrics(const fh_gateway *g, fh_buf *out)
{
    const fh_series_set *sets[FH_LIMIT_SERVE_THREADS];
    fh_traffic t;
    fh_gateway_traffic(g, &t);
    for (size_t i = 0; i < g->lane_count; i++) sets[i] = &g->lanes[i].series;
    fh_series_write(g->series, sets, g->lane_count, out);
    write_one(out, "freehold_gateway_in_flight", "gauge", "Requests that run now.", t.in_flight);
    write_one(out, "freehold_gateway_reply_bytes", "gauge", "Bytes of whole replies that are held until they are sent.", g->reply_bytes);
    write_one(out, "freehold_gateway_limited_total", "counter", "Requests that were beyond what their key may ask.", t.limited);
    write_one(out, "freehold_gateway_prompt_tokens_total", "counter", "Tokens of prompts.", t.prompt_tok);
    write_one(out, "freehold_gateway_completion_tokens_total", "counter", "Tokens of answers, of streams as they come.", t.completion_tok);
    write_counted(g, out);
    write_kept_usage(g, out);
    write_choices(g, out);
    write_cache(g, out);
    write_queue(g, out);
}

/* The strict request reader: what it takes, what it refuses and with which status, and that cutting the bytes in pieces changes nothing. */
#include "reader_transcript.h"
#include <stdio.h>
#include <stdlib.h>

#define H  "Host: a.example\r\n"
#define TE "Transfer-Encoding: chunked\r\n"

typedef struct request_case {
    const char *name;
    fh_str bytes;
    int status; /* 0: taken */
} request_case;

#define CASE(name, text, status)                                                                                                           \
    {                                                                                                                                      \
        name, {text, sizeof(text) - 1}, status                                                                                             \
    }

static const request_case cases[] = {
    /* taken */
    CASE("a plain GET", "GET / HTTP/1.1\r\n" H "\r\n", 0),
    CASE("a body by length", "POST /x HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello", 0),
    CASE("an empty body by length", "POST /x HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", 0),
    CASE("a chunked body", "POST /x HTTP/1.1\r\n" H TE "\r\n5\r\nhello\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\n", 0),
    CASE("a chunked body in capitals", "POST /x HTTP/1.1\r\n" H "transfer-encoding: CHUNKED\r\n\r\n00a\r\n0123456789\r\n000\r\n\r\n", 0),
    CASE("trailers", "POST /x HTTP/1.1\r\n" H TE "\r\n1\r\nx\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", 0),
    CASE("three requests at once",
         "GET /1 HTTP/1.1\r\n" H "\r\nPOST /2 HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nokGET /3 HTTP/1.1\r\n" H "\r\n", 0),
    CASE("one empty line before a request", "\r\nGET / HTTP/1.1\r\n" H "\r\n", 0),
    CASE("an old client", "GET / HTTP/1.0\r\n\r\n", 0),
    CASE("an old client that stays", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 0),
    CASE("close in a list", "GET / HTTP/1.1\r\n" H "Connection: x, CLOSE\r\n\r\n", 0),
    CASE("an escaped slash", "GET /v1/models/owner%2Fname HTTP/1.1\r\n" H "\r\n", 0),
    CASE("a query as browsers write it", "GET /p?a=[1]|{2}&b=%zz HTTP/1.1\r\n" H "\r\n", 0),
    CASE("UTF-8 in a path", "GET /%C3%A4 HTTP/1.1\r\n" H "\r\n", 0),
    CASE("a trailing slash", "GET /a/ HTTP/1.1\r\n" H "\r\n", 0),
    CASE("dots that are no dot segments", "GET /..a/.b/c... HTTP/1.1\r\n" H "\r\n", 0),
    CASE("absolute form", "GET http://a.example/x?y HTTP/1.1\r\n" H "\r\n", 0),
    CASE("absolute form without a path", "GET HTTP://A.example?y HTTP/1.1\r\n" H "\r\n", 0),
    CASE("TRACE, which whoever serves the path refuses", "TRACE / HTTP/1.1\r\n" H "\r\n", 0),
    CASE("asterisk form", "OPTIONS * HTTP/1.1\r\n" H "\r\n", 0),
    CASE("a port and an IPv6 address", "GET / HTTP/1.1\r\nHost: [::1]:8470\r\n\r\n", 0),
    CASE("blanks and tabs around values", "GET / HTTP/1.1\r\nHost:\t a.example \t\r\nX:\r\nY: a\tb  c\r\n\r\n", 0),
    CASE("bytes beyond ASCII in a value", "GET / HTTP/1.1\r\n" H "X-Name: \xc3\xa4\xff\r\n\r\n", 0),
    CASE("an expectation", "POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 1\r\n\r\nx", 0),
    CASE("an expectation of an old client is not heard", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx", 0),
    CASE("a method that we do not know", "purge / HTTP/1.1\r\n" H "\r\n", 0),
    CASE("an unfinished request", "POST / HTTP/1.1\r\n" H "Content-Length: 10\r\n\r\nhello", 0),

    /* the eleven that server libraries let through */
    CASE("length and chunked", "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n" TE "\r\n0\r\n\r\n", 400),
    CASE("two lengths", "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    CASE("a blank before the colon", "POST / HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\nhello", 400),
    CASE("an unknown coding", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400),
    CASE("a folded line", "GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 400),
    CASE("a bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400),
    CASE("a signed length", "POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\nhello", 400),
    CASE("a NUL", "GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n", 400),
    CASE("no host", "GET / HTTP/1.1\r\n\r\n", 400),
    CASE("a chunk size with a prefix", "POST / HTTP/1.1\r\n" H TE "\r\n0x5\r\nhello\r\n0\r\n\r\n", 400),
    CASE("a negative length", "POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\nhello", 400),

    /* framing */
    CASE("a list of lengths", "POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\nhello", 400),
    CASE("an empty length", "POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400),
    CASE("a length with a leading zero", "POST / HTTP/1.1\r\n" H "Content-Length: 05\r\n\r\nhello", 400),
    CASE("a length with a fraction", "POST / HTTP/1.1\r\n" H "Content-Length: 5.0\r\n\r\nhello", 400),
    CASE("a length with a blank inside", "POST / HTTP/1.1\r\n" H "Content-Length: 1 5\r\n\r\nhello", 400),
    CASE("a length beyond 64 bits", "POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551621\r\n\r\nhello", 413),
    CASE("a length beyond the limit", "POST / HTTP/1.1\r\n" H "Content-Length: 65537\r\n\r\n", 413),
    CASE("chunked twice in a list", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400),
    CASE("chunked twice in two lines", "POST / HTTP/1.1\r\n" H TE TE "\r\n0\r\n\r\n", 400),
    CASE("chunked not last", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400),
    CASE("an empty coding", "POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", 400),
    CASE("a quoted coding", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400),
    CASE("a coding behind a vertical tab",
         "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
         "chunked\r\n\r\n0\r\n\r\n",
         400),
    CASE("chunked from an old client", "POST / HTTP/1.0\r\n" TE "\r\n0\r\n\r\n", 400),
    CASE("an empty chunk size", "POST / HTTP/1.1\r\n" H TE "\r\n\r\nhello", 400),
    CASE("a signed chunk size", "POST / HTTP/1.1\r\n" H TE "\r\n+5\r\nhello\r\n0\r\n\r\n", 400),
    CASE("a blank before a chunk size", "POST / HTTP/1.1\r\n" H TE "\r\n 5\r\nhello\r\n0\r\n\r\n", 400),
    CASE("a blank behind a chunk size", "POST / HTTP/1.1\r\n" H TE "\r\n5 \r\nhello\r\n0\r\n\r\n", 400),
    CASE("a chunk size beyond the limit", "POST / HTTP/1.1\r\n" H TE "\r\n10001\r\n", 413),
    CASE("a chunk size that would overflow", "POST / HTTP/1.1\r\n" H TE "\r\nfffffffffffffffff\r\n", 400),
    CASE("chunks that add up beyond the limit", "POST / HTTP/1.1\r\n" H TE "\r\n2\r\nab\r\nffff\r\n", 413),
    CASE("a chunk longer than its size", "POST / HTTP/1.1\r\n" H TE "\r\n5\r\nhellox\r\n0\r\n\r\n", 400),
    CASE("a chunk that ends in LF", "POST / HTTP/1.1\r\n" H TE "\r\n5\r\nhello\n0\r\n\r\n", 400),
    CASE("a chunk size that ends in LF", "POST / HTTP/1.1\r\n" H TE "\r\n5\nhello\r\n0\r\n\r\n", 400),
    CASE("an extension with a bare CR", "POST / HTTP/1.1\r\n" H TE "\r\n5;a\rb\r\nhello\r\n0\r\n\r\n", 400),
    CASE("an extension with an LF", "POST / HTTP/1.1\r\n" H TE "\r\n5;\nhello\r\n0\r\n\r\n", 400),
    CASE("a trailer that frames", "POST / HTTP/1.1\r\n" H TE "\r\n0\r\nContent-Length: 5\r\n\r\n", 400),
    CASE("a trailer that names a host", "POST / HTTP/1.1\r\n" H TE "\r\n0\r\nhOST: b\r\n\r\n", 400),
    CASE("a folded trailer", "POST / HTTP/1.1\r\n" H TE "\r\n0\r\nX: a\r\n\tb\r\n\r\n", 400),
    CASE("a trailer without a colon", "POST / HTTP/1.1\r\n" H TE "\r\n0\r\nX\r\n\r\n", 400),

    /* header lines */
    CASE("two hosts", "GET / HTTP/1.1\r\n" H "Host: b\r\n\r\n", 400),
    CASE("two hosts of an old client", "GET / HTTP/1.0\r\n" H "Host: b\r\n\r\n", 400),
    CASE("an empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    CASE("a host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    CASE("a host with credentials", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400),
    CASE("a host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    CASE("a list of hosts", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    CASE("a host with a bad port", "GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", 400),
    CASE("a host with an empty port", "GET / HTTP/1.1\r\nHost: a:\r\n\r\n", 400),
    CASE("a host with bytes beyond ASCII", "GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", 400),
    CASE("two authorizations", "GET / HTTP/1.1\r\n" H "Authorization: a\r\nauthorization: b\r\n\r\n", 400),
    CASE("two content types", "GET / HTTP/1.1\r\n" H "Content-Type: a/b\r\nContent-Type: c/d\r\n\r\n", 400),
    CASE("an empty name", "GET / HTTP/1.1\r\n" H ": x\r\n\r\n", 400),
    CASE("a name with a control character", "GET / HTTP/1.1\r\n" H "A\x01: x\r\n\r\n", 400),
    CASE("a name with a quote", "GET / HTTP/1.1\r\n" H "A\"b: x\r\n\r\n", 400),
    CASE("a name beyond ASCII", "GET / HTTP/1.1\r\n" H "\xc3\xa4: x\r\n\r\n", 400),
    CASE("a line without a colon", "GET / HTTP/1.1\r\n" H "abc\r\n\r\n", 400),
    CASE("a first header that is folded", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    CASE("a control character in a value", "GET / HTTP/1.1\r\n" H "X: a\x1b[31m\r\n\r\n", 400),
    CASE("DEL in a value", "GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", 400),
    CASE("a bare CR in a value", "GET / HTTP/1.1\r\n" H "X: a\rY: b\r\n\r\n", 400),
    CASE("a bare CR behind a value", "GET / HTTP/1.1\r\n" H "X: a\r\r\n\r\n", 400),
    CASE("a bare CR before a value", "GET / HTTP/1.1\r\n" H "X:\ra\r\n\r\n", 400),
    CASE("a bare CR as a value", "GET / HTTP/1.1\r\n" H "X:\r\r\n\r\n", 400),
    CASE("a bare CR behind a length", "POST / HTTP/1.1\r\n" H "Content-Length: 5\r\r\n\r\nhello", 400),
    CASE("a bare CR before a coding", "POST / HTTP/1.1\r\n" H "Transfer-Encoding: \rchunked\r\n\r\n0\r\n\r\n", 400),
    CASE("a bare CR behind a trailer", "POST / HTTP/1.1\r\n" H TE "\r\n0\r\nX: a\r\r\n\r\n", 400),
    CASE("a bare LF behind the headers", "GET / HTTP/1.1\r\n" H "\n", 400),
    CASE("another expectation", "POST / HTTP/1.1\r\n" H "Expect: tea\r\nContent-Length: 1\r\n\r\nx", 417),

    /* request lines */
    CASE("CONNECT", "CONNECT a.example:443 HTTP/1.1\r\n" H "\r\n", 501),
    CASE("a method that never ends", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ / HTTP/1.1\r\n" H "\r\n", 501),
    CASE("authority form", "GET a.example:80 HTTP/1.1\r\n" H "\r\n", 400),
    CASE("absolute form of another scheme", "GET ftp://a.example/ HTTP/1.1\r\n" H "\r\n", 400),
    CASE("absolute form of another host", "GET http://b.example/ HTTP/1.1\r\n" H "\r\n", 400),
    CASE("absolute form with credentials", "GET http://u:p@a.example/ HTTP/1.1\r\n" H "\r\n", 400),
    CASE("absolute form without a host", "GET http:///x HTTP/1.1\r\n" H "\r\n", 400),
    CASE("asterisk form of GET", "GET * HTTP/1.1\r\n" H "\r\n", 400),
    CASE("a relative path", "GET x HTTP/1.1\r\n" H "\r\n", 400),
    CASE("an empty target", "GET  HTTP/1.1\r\n" H "\r\n", 400),
    CASE("two blanks", "GET  / HTTP/1.1\r\n" H "\r\n", 400),
    CASE("a tab instead of a blank", "GET\t/ HTTP/1.1\r\n" H "\r\n", 400),
    CASE("a blank behind the version", "GET / HTTP/1.1 \r\n" H "\r\n", 400),
    CASE("a blank in front", " GET / HTTP/1.1\r\n" H "\r\n", 400),
    CASE("no version", "GET /\r\n" H "\r\n", 400),
    CASE("a version in small letters", "GET / http/1.1\r\n" H "\r\n", 400),
    CASE("HTTP/1.2", "GET / HTTP/1.2\r\n" H "\r\n", 505),
    CASE("HTTP/3.0", "GET / HTTP/3.0\r\n" H "\r\n", 505),
    CASE("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    CASE("a TLS hello", "\x16\x03\x01\x02\x00\x01\x00", 400),
    CASE("two empty lines", "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 400),
    CASE("a fragment", "GET /a#b HTTP/1.1\r\n" H "\r\n", 400),
    CASE("a quote in the path", "GET /a\"b HTTP/1.1\r\n" H "\r\n", 400),
    CASE("a backslash in the path", "GET /a\\..\\b HTTP/1.1\r\n" H "\r\n", 400),
    CASE("raw UTF-8 in the path", "GET /\xc3\xa4 HTTP/1.1\r\n" H "\r\n", 400),
    CASE("an escaped NUL", "GET /a%00b HTTP/1.1\r\n" H "\r\n", 400),
    CASE("an escaped line feed", "GET /a%0ab HTTP/1.1\r\n" H "\r\n", 400),
    CASE("half an escape", "GET /a%2 HTTP/1.1\r\n" H "\r\n", 400),
    CASE("a broken escape", "GET /a%zz HTTP/1.1\r\n" H "\r\n", 400),
    CASE("an overlong slash", "GET /a%c0%af HTTP/1.1\r\n" H "\r\n", 400),
    CASE("dot segments", "GET /a/../b HTTP/1.1\r\n" H "\r\n", 400),
    CASE("escaped dot segments", "GET /a/%2e%2E/b HTTP/1.1\r\n" H "\r\n", 400),
    CASE("dot segments behind an escaped slash", "GET /a%2f..%2fb HTTP/1.1\r\n" H "\r\n", 400),
    CASE("a last dot segment", "GET /a/.. HTTP/1.1\r\n" H "\r\n", 400),
    CASE("an empty segment", "GET //a HTTP/1.1\r\n" H "\r\n", 400),
};

static fh_http_limits small_limits(void)
{
    return (fh_http_limits){.request_line_bytes = 128, .header_bytes = 512, .headers = 8, .body_bytes = 65536};
}

static void each_request_is_taken_or_refused_with_its_status(void **state)
{
    fh_http_limits l = small_limits();
    for (size_t i = 0; i < FH_COUNT(cases); i++) {
        FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
        int status = transcribe(&l, cases[i].bytes, 0, cases[i].bytes.len, &out);
        if (status != cases[i].status)
            fail_msg("%s: status %d instead of %d (%s)", cases[i].name, status, cases[i].status, fh_buf_cstr(&out));
    }
}

static void cutting_the_bytes_anywhere_changes_nothing(void **state)
{
    fh_http_limits l = small_limits();
    for (size_t i = 0; i < FH_COUNT(cases); i++) {
        fh_str bytes = cases[i].bytes;
        FH_AUTO(buf) fh_buf whole = FH_BUF(1 << 20);
        transcribe(&l, bytes, 0, bytes.len, &whole);
        for (size_t cut = 0; cut <= bytes.len; cut++) {
            FH_AUTO(buf) fh_buf two = FH_BUF(1 << 20), ones = FH_BUF(1 << 20);
            transcribe(&l, bytes, cut, bytes.len, &two);
            transcribe(&l, bytes, cut, 1, &ones);
            assert_string_equal(fh_buf_cstr(&two), fh_buf_cstr(&whole));
            assert_string_equal(fh_buf_cstr(&ones), fh_buf_cstr(&whole));
        }
    }
}

/* A request of random pieces, some of them wrong. */
static void random_request(unsigned *seed, fh_buf *out)
{
    static const char *const pieces[] = {"GET / HTTP/1.1\r\n",
                                         "POST /a%20b?c HTTP/1.1\r\n",
                                         H,
                                         TE,
                                         "Content-Length: 3\r\n",
                                         "abc",
                                         "3\r\nabc\r\n",
                                         "0\r\n",
                                         "\r\n",
                                         "\r",
                                         "\n",
                                         "X: y\r\n",
                                         "Connection: close\r\n",
                                         "Expect: 100-continue\r\n",
                                         " ",
                                         ":",
                                         "5;ext\r\nhello\r\n",
                                         "HTTP/1.0\r\n",
                                         "*",
                                         "%",
                                         "12"};
    for (int n = 2 + rand_r(seed) % 10; n > 0; n--) fh_buf_adds(out, pieces[(size_t)rand_r(seed) % FH_COUNT(pieces)]);
}

static void cutting_random_bytes_anywhere_changes_nothing(void **state)
{
    fh_http_limits l = {.request_line_bytes = 30, .header_bytes = 60, .headers = 3, .body_bytes = 9};
    unsigned seed = 7;
    for (int round = 0; round < 3000; round++) {
        FH_AUTO(buf) fh_buf text = FH_BUF(1 << 16), whole = FH_BUF(1 << 20);
        random_request(&seed, &text);
        fh_str bytes = {text.data, text.len};
        transcribe(&l, bytes, 0, bytes.len, &whole);
        for (size_t cut = 1; cut < bytes.len; cut++) {
            FH_AUTO(buf) fh_buf cuts = FH_BUF(1 << 20);
            transcribe(&l, bytes, cut, 1 + cut % 3, &cuts);
            assert_string_equal(fh_buf_cstr(&cuts), fh_buf_cstr(&whole));
        }
    }
}

static void what_is_said_of_a_request_is_right(void **state)
{
    fh_http_limits l = small_limits();
    FH_AUTO(buf) fh_buf out = FH_BUF(1 << 20);
    transcribe(&l,
               FH_STR("POST http://a.example/x%20y?q=%41 HTTP/1.1\r\n" H "A: \t b \r\nExpect: 100-continue\r\n" TE
                      "\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: t\r\n\r\n"),
               0, 500, &out);
    assert_string_equal(fh_buf_cstr(&out), "headers, POST /x y ?q=%41 host=a.example 1.1 keep expect [Host=a.example] [A=b] "
                                           "[Expect=100-continue] [Transfer-Encoding=chunked] body(5)=abcde\n");
}

static int status_of(const fh_http_limits *l, fh_str bytes)
{
    FH_AUTO(buf) fh_buf whole = FH_BUF(1 << 20), ones = FH_BUF(1 << 20);
    int status = transcribe(l, bytes, 0, bytes.len, &whole);
    assert_int_equal(transcribe(l, bytes, 0, 1, &ones), status);
    assert_string_equal(fh_buf_cstr(&ones), fh_buf_cstr(&whole));
    return status;
}

static int status_of_repeated(const fh_http_limits *l, const char *before, const char *piece, int count, const char *after)
{
    FH_AUTO(buf) fh_buf b = FH_BUF(1 << 20);
    fh_buf_adds(&b, before);
    for (int i = 0; i < count; i++) fh_buf_adds(&b, piece);
    fh_buf_adds(&b, after);
    return status_of(l, (fh_str){b.data, b.len});
}

static void each_limit_has_its_status_and_is_exact(void **state)
{
    fh_http_limits l = small_limits();
    int line = (int)l.request_line_bytes - (int)sizeof "GET / HTTP/1.1" + 1;
    assert_int_equal(status_of_repeated(&l, "GET /", "a", line, " HTTP/1.1\r\n" H "\r\n"), 0);
    assert_int_equal(status_of_repeated(&l, "GET /", "a", line + 1, " HTTP/1.1\r\n" H "\r\n"), 414);
    assert_int_equal(status_of_repeated(&l, "GET /", "a", 100000, ""), 414);
    assert_int_equal(status_of_repeated(&l, "GET / HTTP/1.1\r\n" H, "a:\r\n", 7, "\r\n"), 0);
    assert_int_equal(status_of_repeated(&l, "GET / HTTP/1.1\r\n" H, "a:\r\n", 8, "\r\n"), 431);
    int bytes = (int)l.header_bytes - (int)sizeof H + 1 - (int)sizeof "a:\r\n" + 1;
    assert_int_equal(status_of_repeated(&l, "GET / HTTP/1.1\r\n" H "a:", "x", bytes, "\r\n\r\n"), 0);
    assert_int_equal(status_of_repeated(&l, "GET / HTTP/1.1\r\n" H "a:", "x", bytes + 3, "\r\n\r\n"), 431);
    assert_int_equal(status_of_repeated(&l, "GET / HTTP/1.1\r\n" H "a:", "x", 100000, ""), 431);
    assert_int_equal(status_of_repeated(&l, "POST / HTTP/1.1\r\n" H "Content-Length: 65536\r\n\r\n", "x", 65536, ""), 0);
    assert_int_equal(status_of_repeated(&l, "POST / HTTP/1.1\r\n" H TE "\r\n", "1\r\nx\r\n", 65536, "0\r\n\r\n"), 0);
    assert_int_equal(status_of_repeated(&l, "POST / HTTP/1.1\r\n" H TE "\r\n", "1\r\nx\r\n", 65537, "0\r\n\r\n"), 413);
    assert_int_equal(status_of_repeated(&l, "POST / HTTP/1.1\r\n" H TE "\r\n1;", "x", 300, "\r\nx\r\n0\r\n\r\n"), 400);
    assert_int_equal(
        status_of_repeated(&l, "POST / HTTP/1.1\r\n" H TE "\r\n", "1;0123456789012345678901234567890123456789\r\nx\r\n", 200, "0\r\n\r\n"),
        400);
    assert_int_equal(status_of_repeated(&l, "POST / HTTP/1.1\r\n" H TE "\r\n0\r\n", "a:\r\n", 6, "\r\n"), 0);
    assert_int_equal(status_of_repeated(&l, "POST / HTTP/1.1\r\n" H TE "\r\n0\r\n", "a:\r\n", 7, "\r\n"), 431);
    assert_int_equal(status_of_repeated(&l, "POST / HTTP/1.1\r\n" H TE "\r\n0\r\na:", "x", 600, "\r\n\r\n"), 431);
}

static void a_refused_reader_stays_refused_until_next(void **state)
{
    fh_http_limits l = small_limits();
    fh_http_reader *r = fh_http_reader_new(&l);
    fh_http_read s;
    int status = 0;
    size_t n = 7;
    assert_true(fh_http_reader_push(r, "GET x\r\n", &n, &s, &status, NULL) < 0);
    n = 18;
    status = 0;
    assert_true(fh_http_reader_push(r, "GET / HTTP/1.1\r\n\r\n", &n, &s, &status, NULL) < 0);
    assert_int_equal(status, 400);
    fh_http_reader_next(r);
    n = 18;
    assert_int_equal(fh_http_reader_push(r, "GET / HTTP/1.0\r\n\r\n", &n, &s, &status, NULL), 0);
    assert_int_equal(s, FH_HTTP_DONE);
    fh_http_reader_free(r);
    fh_http_reader_free(NULL);
}

static void a_large_body_byte_by_byte_takes_linear_time(void **state)
{
    fh_http_limits l;
    fh_http_limits_default(&l);
    fh_http_reader *r = fh_http_reader_new(&l);
    static const char head[] = "POST / HTTP/1.1\r\n" H "Content-Length: 20000000\r\n\r\n";
    fh_http_read s = FH_HTTP_MORE;
    int status;
    size_t n = sizeof head - 1;
    assert_int_equal(fh_http_reader_push(r, head, &n, &s, &status, NULL), 0);
    assert_int_equal(s, FH_HTTP_HEADERS);
    for (int i = 0; i < 20000000; i++) {
        n = 1;
        if (fh_http_reader_push(r, "x", &n, &s, &status, NULL) < 0) fail();
    }
    assert_int_equal(s, FH_HTTP_DONE);
    assert_int_equal(fh_http_reader_msg(r)->body.len, 20000000);
    fh_http_reader_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_is_taken_or_refused_with_its_status), cmocka_unit_test(cutting_the_bytes_anywhere_changes_nothing),
        cmocka_unit_test(cutting_random_bytes_anywhere_changes_nothing),    cmocka_unit_test(what_is_said_of_a_request_is_right),
        cmocka_unit_test(each_limit_has_its_status_and_is_exact),           cmocka_unit_test(a_refused_reader_stays_refused_until_next),
        cmocka_unit_test(a_large_body_byte_by_byte_takes_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

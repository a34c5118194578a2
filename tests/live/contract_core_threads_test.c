/* SPDX-License-Identifier: Apache-2.0 */
/* The contract of secrets, as a core dump shows it: of passwords, tokens, seeds, JWTs of bearers and TLS keys nothing is
 * in a process once its client is closed, whether or not the handle is kept, and nothing in an error or event. Seeds and
 * JWTs are gone as soon as the client is connected.
 *
 * This program runs itself as the client of a real server and searches it, first its memory, then the core of its abort.
 * The secrets lie in files. The library alone reads those that it has options for; the client reads the others by mapping
 * them until they are handed over, so that no copy of its own counts. */
#define _GNU_SOURCE

#include "certs.h"
#include "jwt.h"
#include "remains.h"
#include "secrets.h"
#include "server.h"
#include "thread_client.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define READY "\n.ready\n"
#define CHILD_MS 30000

typedef enum ask { NOTHING, FOR_PASSWORD, FOR_TOKEN, FOR_SEED } ask;

/* What the client does: names of files, in the folder of secrets. */
typedef struct story {
    const char *title;
    server_kind server;
    const char *url, *password, *token, *creds, *seed; /* |url|, |password| and |token|: the file's content is meant */
    const char *creds_text;                            /* likewise: the content where its name belongs */
    const char *cert, *key;
    ask ask; /* for on_credentials */
    bool is_refused;
    bool leaves_key; /* OpenSSL has to decode it: what that leaves behind is told, and does not fail the test */
} story;

static const story stories[] = {
    { .title = "a password", .server = OF_PASSWORD, .password = "password" },
    { .title = "a password in the URL", .server = OF_PASSWORD, .url = "url" },
    { .title = "a password that is asked for", .server = OF_PASSWORD, .ask = FOR_PASSWORD },
    { .title = "a password that is refused", .server = OF_PASSWORD, .password = "wrong", .is_refused = true },
    { .title = "a token", .server = OF_TOKEN, .token = "token" },
    { .title = "a token in the URL", .server = OF_TOKEN, .url = "token_url" },
    { .title = "a token that is asked for", .server = OF_TOKEN, .ask = FOR_TOKEN },
    { .title = "a seed", .server = OF_NKEY, .seed = "seed.nk" },
    { .title = "a seed that is asked for", .server = OF_NKEY, .ask = FOR_SEED },
    { .title = "a seed that is not whole", .server = OF_NKEY, .seed = "broken.nk", .is_refused = true },
    { .title = "credentials", .server = OF_JWT, .creds = "user.creds" },
    { .title = "credentials of a bearer", .server = OF_JWT, .creds = "bearer.creds" },
    { .title = "credentials whose seed is not whole", .server = OF_JWT, .creds = "broken.creds", .is_refused = true },
    { .title = "credentials for their file's name", .server = OF_JWT, .creds_text = "user.creds", .is_refused = true },
    { .title = "a key on P-256", .server = OF_TLS, .password = "password", .cert = "ec.pem", .key = "ec.key" },
    { .title = "a key on P-256, as it was written once",
      .server = OF_TLS,
      .password = "password",
      .cert = "ec.pem",
      .key = "ec_old.key" },
    { .title = "a key on P-256 without its public part",
      .server = OF_TLS,
      .password = "password",
      .cert = "ec.pem",
      .key = "ec_bare.key",
      .leaves_key = true },
    { .title = "an RSA key, as it was written once",
      .server = OF_TLS,
      .password = "password",
      .cert = "rsa.pem",
      .key = "rsa_old.key" },
    { .title = "a key and its certificate in a file", .server = OF_TLS, .password = "password", .cert = "both.pem" },
    { .title = "an RSA key", .server = OF_TLS, .password = "password", .cert = "rsa.pem", .key = "rsa.key" },
    { .title = "an Ed25519 key",
      .server = OF_TLS,
      .password = "password",
      .cert = "ed25519.pem",
      .key = "ed25519.key" },
    { .title = "another certificate's key",
      .server = OF_TLS,
      .password = "password",
      .cert = "ec.pem",
      .key = "rsa.key",
      .is_refused = true },
};

/* -- the client -- */

enum { CHILD_BADLY_OPENED = 90, CHILD_WAITED, CHILD_FILES };

static const char *folder;
static const story *played;
static atomic_uint seen[NBJ_EVENT_ATTEMPT_FAILED + 1];
static char *canaries[2];

static void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        _exit(CHILD_FILES);
}

static int open_secret(const char *name)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        _exit(CHILD_FILES);
    return fd;
}

/* The content as text: behind it are zeros. */
static char *show(const char *name)
{
    if (name == NULL)
        return NULL;
    int fd = open_secret(name);
    char *text = mmap(NULL, SECRET_MAX, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    if (text == MAP_FAILED)
        _exit(CHILD_FILES);
    return text;
}

static void hide(const char *text)
{
    if (text != NULL)
        munmap((void *)(uintptr_t)text, SECRET_MAX);
}

static const char *path_of(const char *name, char room[256])
{
    snprintf(room, 256, "%s/%s", folder, name != NULL ? name : "");
    return name != NULL ? room : NULL;
}

static void fill(const char *name, char *out, size_t size)
{
    int fd = open_secret(name);

    if (read(fd, out, size - 1) <= 0)
        _exit(CHILD_FILES);
    close(fd);
}

static nbj_status on_credentials(void *user, nbj_bytes nonce, nbj_credentials *out)
{
    (void)user;
    (void)nonce;
    if (played->ask == FOR_PASSWORD) {
        memcpy(out->user, "ann", 3);
        fill("password", out->password, sizeof out->password);
    } else if (played->ask == FOR_TOKEN) {
        fill("token", out->token, sizeof out->token);
    } else {
        fill("seed.nk", out->nkey_seed, sizeof out->nkey_seed);
    }
    return NBJ_OK;
}

static void on_event(void *user, nbj_client *c, const nbj_event *event)
{
    (void)user;
    (void)c;
    if (event->error != NULL) {
        say(event->error->text);
        say("\n");
    }
    seen[event->type]++;
}

static bool await(nbj_client *c, bool by_loop, nbj_event_type type)
{
    nbj_time until = ts_now() + NBJ_SECONDS(20);

    while (seen[type] == 0 && ts_now() < until) {
        if (by_loop && nbj_loop_turn(c, NBJ_MILLIS(5)) == NBJ_E_CLOSED)
            break;
        if (!by_loop)
            ts_breathe();
    }
    return seen[type] > 0;
}

static nbj_client *open_client(const char *url, bool by_loop)
{
    char ca[256], cert[256], key[256], creds[256], seed[256];
    bool tls = played->server == OF_TLS;
    const char *shown[] = { show(played->url), show(played->password), show(played->token), show(played->creds_text) };
    nbj_client_options o = { .struct_size = sizeof o,
                             .url = shown[0] != NULL ? shown[0] : url,
                             .user = shown[1] != NULL ? "ann" : NULL,
                             .password = shown[1],
                             .token = shown[2],
                             .on_event = on_event,
                             .on_credentials = played->ask != NOTHING ? on_credentials : NULL,
                             .credentials_file = shown[3] != NULL ? shown[3] : path_of(played->creds, creds),
                             .nkey_seed_file = path_of(played->seed, seed),
                             .tls = tls,
                             .tls_ca_file = path_of(tls ? "ca.pem" : NULL, ca),
                             .tls_cert_file = path_of(played->cert, cert),
                             .tls_key_file = path_of(played->key, key) };
    nbj_client *c = NULL;
    nbj_error error = { 0 };

    nbj_status st = by_loop ? nbj_loop_open(&c, &o, &error) : nbj_client_open(&c, &o, &error);
    for (size_t i = 0; i < COUNT(shown); i++)
        hide(shown[i]);
    say(error.text);
    if ((st != NBJ_OK) != (!by_loop && played->is_refused))
        _exit(CHILD_BADLY_OPENED);
    return c;
}

/* What the search has to find: on the heap, and at the end of what was there and was given back. */
static void plant_canaries(void)
{
    const char *text = show(CANARY);

    for (size_t i = 0; i < COUNT(canaries); i++)
        canaries[i] = strdup(text);
    hide(text);
    free(canaries[1]);
}

static void play_life(nbj_client *c, bool by_loop, const char *end)
{
    if (!played->is_refused) {
        if (!await(c, by_loop, NBJ_EVENT_CONNECTED))
            _exit(CHILD_WAITED);
        if (strcmp(end, "open") == 0) {
            if (!by_loop && nbj_flush(c, 0) != NBJ_OK) /* the library's thread has ended the turn that connected */
                _exit(CHILD_WAITED);
            return;
        }
        nbj_client_reconnect(c);
        if (!await(c, by_loop, NBJ_EVENT_RECONNECTED))
            _exit(CHILD_WAITED);
        nbj_client_close(c);
    }
    if (c != NULL && !await(c, by_loop, NBJ_EVENT_CLOSED))
        _exit(CHILD_WAITED);
    if (strcmp(end, "released") == 0)
        nbj_client_release(c);
}

/* AddressSanitizer fills cores with what it keeps of freed memory, so that writing them takes minutes: there none is made. */
static void allow_core(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_CORE, &limit) != 0)
        return;
#ifdef __SANITIZE_ADDRESS__
    limit.rlim_cur = 0;
#else
    limit.rlim_cur = limit.rlim_max;
#endif
    (void)setrlimit(RLIMIT_CORE, &limit);
}

/* argv: --play, number of the story, "loop" or "threads", "open", "closed" or "released", folder, URL */
static int play(char **argv)
{
    char c;

    played = &stories[strtoul(argv[2], NULL, 10)];
    folder = argv[5];
    bool by_loop = strcmp(argv[3], "loop") == 0;
    if (chdir(folder) != 0 || chdir("core") != 0)
        return CHILD_FILES;
    allow_core();
    plant_canaries();
    play_life(open_client(argv[6], by_loop), by_loop, argv[4]);
    say(READY);
    if (read(STDIN_FILENO, &c, 1) != 0)
        return CHILD_FILES;
    abort();
}

/* -- the searcher -- */

static secrets *all;
static unsigned cores, children, failures;

typedef struct child {
    pid_t pid;
    int in, out;
    char texts[16384];
} child;

static _Noreturn void become_client(const story *s, const char *driven, const char *end, int in, int out)
{
    char number[24];

    snprintf(number, sizeof number, "%zu", (size_t)(s - stories));
    const char *const argv[] = {
        "contract_core", "--play", number, driven, end, secrets_folder(all), secrets_url(all, s->server), NULL
    };
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0)
        execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
    _exit(127);
}

static void start(child *c, const story *s, const char *driven, const char *end)
{
    int in[2], out[2];

    assert_true(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    fflush(NULL);
    c->pid = fork();
    if (c->pid == 0)
        become_client(s, driven, end, in[0], out[1]);
    assert_true(c->pid > 0);
    close(in[0]);
    close(out[1]);
    c->in = in[1];
    c->out = out[0];
}

/* Its texts, until it is ready to be searched. */
static void hear(child *c, const char *title)
{
    nbj_time until = ts_now() + NBJ_MILLIS(CHILD_MS);
    size_t len = 0;

    do {
        struct pollfd wait = { .fd = c->out, .events = POLLIN };
        ssize_t n =
            poll(&wait, 1, ts_left_ms(until)) > 0 ? read(c->out, c->texts + len, sizeof c->texts - 1 - len) : -1;
        if (n <= 0) {
            int status = 0;
            kill(c->pid, SIGKILL);
            (void)waitpid(c->pid, &status, 0);
            TS_FAIL("%s: the client came to no end (%d): %s", title, status, c->texts);
        }
        len += (size_t)n;
        c->texts[len] = '\0';
    } while (strstr(c->texts, READY) == NULL);
}

static bool has_ended(child *c, int *status)
{
    if (c->pid > 0 && waitpid(c->pid, status, WNOHANG) == c->pid)
        c->pid = 0;
    return c->pid == 0;
}

/* The core that the client left, whatever the system calls it. "": none. */
static const char *find_core(void)
{
    static char path[600];
    char dir[256];
    const struct dirent *e;

    snprintf(dir, sizeof dir, "%s/core", secrets_folder(all));
    path[0] = '\0';
    DIR *d = opendir(dir);
    assert_non_null(d);
    while ((e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.')
            snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
    }
    closedir(d);
    return path;
}

/* All is told before the test fails. */
static void judge(const story *s, const char *driven, const char *end, const char *what)
{
    unsigned canary = ts_remains_found(&all->remains, CANARY);
    unsigned of_keys = s->leaves_key ? ts_remains_found(&all->remains, A_KEY) : 0;
    bool is_told = ts_remains_found(&all->remains, NULL) > canary + of_keys;

    if (canary == 0)
        print_error("%s, %s, %s: %s does not show what was planted there\n", s->title, driven, end, what);
    if (is_told)
        print_error("%s, %s, %s: %s shows%s\n", s->title, driven, end, what, all->remains.report);
    if (of_keys > 0 && !is_told)
        print_message("%s, %s, %s: %s shows pieces of it that OpenSSL's decoder left\n", s->title, driven, end, what);
    failures += canary == 0 || is_told;
    ts_remains_forget(&all->remains);
}

static void search_core(const story *s, const char *driven, const char *end, int status)
{
    const char *path = find_core();

    children++;
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    if (*path == '\0')
        return;
    cores++;
    ts_remains_in_file(&all->remains, path);
    unlink(path);
    judge(s, driven, end, "the core");
}

static void run(const story *s, const char *driven, const char *end)
{
    child c = { .pid = 0 };
    int status = 0;

    start(&c, s, driven, end);
    hear(&c, s->title);
    ts_remains_in(&all->remains, "a text", c.texts, strlen(c.texts));
    if (ts_remains_found(&all->remains, NULL) > 0)
        TS_FAIL("%s, %s: a text shows%s", s->title, driven, all->remains.report);
    ts_remains_in_process(&all->remains, c.pid);
    judge(s, driven, end, "the memory");
    close(c.in);
    WAIT_UNTIL(has_ended(&c, &status), CHILD_MS);
    close(c.out);
    search_core(s, driven, end, status);
}

/* Where the system makes no files of cores, what would be in them was searched all the same: but for registers. */
static void tell_of_cores(void)
{
    char pattern[256] = "";
    FILE *f = fopen("/proc/sys/kernel/core_pattern", "re");

    print_message("searched: the memory of %u clients, and the cores of %u of them\n", children, cores);
    if (cores == 0 && f != NULL && fgets(pattern, sizeof pattern, f) != NULL)
        print_message(
            "no cores: not under a sanitizer, or limited to 0 octets, or core_pattern sends them elsewhere: %s",
            pattern);
    if (f != NULL)
        fclose(f);
}

static void test_no_core_shows_a_secret(void **state)
{
    (void)state;
#ifdef __SANITIZE_THREAD__
    skip(); /* its shadow of the memory is as large as the address space, and holds copies of its own */
#endif
    if (ts_in_valgrind())
        skip(); /* the children are programs of their own, which it does not follow */
    all = secrets_make();
    for (size_t i = 0; i < COUNT(stories); i++) {
        const story *s = &stories[i];
        run(s, "threads", "released");
        run(s, "loop", "released");
        run(s, "loop", "closed");
        if (!s->is_refused) /* else there is no handle to keep */
            run(s, "threads", "closed");
        if (!s->is_refused && (s->server == OF_NKEY || s->server == OF_JWT)) { /* what has done its work already */
            run(s, "threads", "open");
            run(s, "loop", "open");
        }
    }
    tell_of_cores();
    secrets_free(all);
    assert_true(cores == children || cores == 0);
    assert_int_equal(failures, 0);
}

int main(int argc, char **argv)
{
    if (argc == 7 && strcmp(argv[1], "--play") == 0)
        return play(argv);
    /* The dynamic linker, when it looks a function up at its first call, saves vector registers on the stack, and with
     * them what was copied last. Programs whose secrets matter are linked with -z now, as distributions do. */
    setenv("LD_BIND_NOW", "1", 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_core_shows_a_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

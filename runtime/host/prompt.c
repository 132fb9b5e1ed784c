/* A line from a person at a terminal, edited with libedit, and the little else that a prompt needs of the system. The
   Lua module sm.prompt, which is loaded when a prompt begins. */
#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <lauxlib.h>
#include <limits.h>
#include <locale.h>
#include <lua.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "host/interrupt.h"

enum { MOST_PROMPT = 256, MOST_LINE = 1 << 20, MOST_HISTORY = 1000 };

/* libedit's functions that it calls have no argument of ours but the editor. There is one terminal. */
static EditLine *editor;
static History *past;
static lua_State *reader; /* whose completion is asked; set while a line is read */
static locale_t utf8;
static char prompt_text[MOST_PROMPT];
static bool stopped, broken; /* the line: by Ctrl-C; by a signal that ends the program */
static volatile sig_atomic_t interrupts, resized, continued, completing;
static struct sigaction continue_before;

static const char completer[] = "smrun.prompt.completer"; /* in the registry */

static void on_interrupt(int signal_number) {
  (void)signal_number;
  interrupts = 1;
  if (completing) sm_host_interrupt_worker();
}

static void on_resize(int signal_number) {
  (void)signal_number;
  resized = 1;
}

static void on_continue(int signal_number) {
  continued = 1;
  if (continue_before.sa_handler != SIG_DFL && continue_before.sa_handler != SIG_IGN)
    continue_before.sa_handler(signal_number);
}

static char *prompt_of(EditLine *of) {
  (void)of;
  return prompt_text;
}

/* What a signal has left to do, while nothing is typed. False where the line ends. */
static bool after_signals(EditLine *of) {
  if (resized) {
    resized = 0;
    el_resize(of);
  }
  if (continued) { /* from Ctrl-Z: the terminal is as the shell left it */
    continued = 0;
    el_set(of, EL_PREP_TERM, 0);
    el_set(of, EL_PREP_TERM, 1);
    el_set(of, EL_REFRESH);
  }
  stopped = interrupts != 0;
  interrupts = 0;
  broken = sm_host_signalled();
  return !stopped && !broken;
}

/* One byte of standard input: 1; 0 at its end; -1 where a signal ends the line. */
static int read_byte(EditLine *of, char *byte) {
  sigset_t all, before;
  sigfillset(&all);
  for (;;) {
    pthread_sigmask(SIG_SETMASK, &all, &before); /* no signal comes between the look and the wait */
    bool goes_on = after_signals(of);
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int ready = goes_on ? ppoll(&input, 1, NULL, &before) : -1;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!goes_on) return -1;
    if (ready < 0) continue;
    ssize_t got = read(STDIN_FILENO, byte, 1);
    if (got >= 0) return (int)got;
    if (errno != EINTR && errno != EAGAIN) return 0; /* a terminal that is gone */
  }
}

/* A character, as libedit asks for it. Bytes that are no UTF-8 are left out. */
static int read_character(EditLine *of, wchar_t *character) {
  mbstate_t state = {0};
  for (int length = 0;;) {
    char byte;
    int got = read_byte(of, &byte);
    if (got <= 0) return got;
    size_t used = mbrtowc(character, &byte, 1, &state);
    length++;
    if (used == (size_t)-2 && length < MB_LEN_MAX) continue;
    if (used != (size_t)-1 && used != (size_t)-2) return 1;
    memset(&state, 0, sizeof state);
    length = 0;
  }
}

static bool more_is_typed(void) {
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  return poll(&input, 1, 0) > 0;
}

/* Whether a text is being pasted: more than somebody's fingers have typed is waiting. */
static bool is_pasted(void) {
  enum { FINGERS = 4 };
  int waiting = 0;
  return ioctl(STDIN_FILENO, FIONREAD, &waiting) == 0 && waiting > FINGERS;
}

/* completer(before) → text to insert or nil, text to show below or nil, whether no line is to come any more */
static int call_completer(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, completer);
  lua_insert(L, 1);
  lua_call(L, 1, 3);
  return 3;
}

/* Tab. In what is pasted it is an indentation, and in a line that has only begun as well. */
static unsigned char complete(EditLine *of, int character) {
  const LineInfo *line = el_line(of);
  size_t length = (size_t)(line->cursor - line->buffer);
  (void)character;
  if (strspn(line->buffer, " \t") >= length || is_pasted())
    return el_insertstr(of, "  ") == 0 ? CC_REFRESH : CC_REFRESH_BEEP;
  lua_State *L = reader;
  int top = lua_gettop(L);
  lua_pushcfunction(L, call_completer);
  lua_pushlstring(L, line->buffer, length);
  unsigned char result = CC_REFRESH_BEEP;
  completing = 1;
  int status = lua_pcall(L, 1, 3, 0);
  completing = 0;
  if (status == LUA_OK) {
    const char *inserted = lua_tostring(L, -3), *shown = lua_tostring(L, -2);
    if (inserted && *inserted && el_insertstr(of, inserted) == 0) result = CC_REFRESH;
    if (shown) {
      printf("\n%s\n", shown);
      fflush(stdout);
      result = CC_REDISPLAY;
    }
    if (lua_toboolean(L, -1)) result = CC_EOF;
  }
  lua_settop(L, top);
  return result;
}

static void start(lua_State *L) {
  HistEvent event;
  if (editor) return;
  utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
  locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
  editor = el_init("smrun", stdin, stdout, stderr);
  past = history_init();
  if (editor && past) {
    history(past, &event, H_SETSIZE, MOST_HISTORY);
    history(past, &event, H_SETUNIQUE, 1);
    el_set(editor, EL_SIGNAL, 0);
    el_set(editor, EL_PROMPT, prompt_of);
    el_set(editor, EL_EDITOR, "emacs");
    el_set(editor, EL_HIST, history, past);
    el_set(editor, EL_ADDFN, "smrun-complete", "complete a name", complete);
    el_set(editor, EL_BIND, "^I", "smrun-complete", NULL);
    el_set(editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(editor, EL_BIND, "\\e[1;5D", "ed-prev-word", NULL);
    el_set(editor, EL_BIND, "\\e[1;5C", "em-next-word", NULL);
    el_source(editor, NULL);
    el_set(editor, EL_GETCFN, read_character);
  }
  if (before) uselocale(before);
  if (!editor || !past) luaL_error(L, "the terminal cannot be prepared: %s", strerror(errno));
}

/* Takes a signal's handler, and gives it back. */
static void take(int signal_number, void (*handler)(int), struct sigaction *before) {
  struct sigaction action = {.sa_handler = handler};
  sigfillset(&action.sa_mask);
  sigaction(signal_number, &action, before);
}

/* read(prompt) → line without its end; or nil and "end", "stopped" (Ctrl-C) or "broken" (a signal ends the program) */
static int read_line(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  luaL_argcheck(L, length < MOST_PROMPT, 1, "a prompt is short");
  start(L);
  memcpy(prompt_text, text, length + 1);
  struct sigaction interrupt_before, resize_before;
  stopped = broken = false;
  interrupts = resized = continued = 0;
  sm_host_await_line();
  take(SIGINT, on_interrupt, &interrupt_before);
  take(SIGWINCH, on_resize, &resize_before);
  take(SIGCONT, on_continue, &continue_before);
  locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
  lua_State *outer = reader; /* a question may be asked while a line runs */
  reader = L;
  int count = 0;
  el_set(editor, EL_PREP_TERM, 1); /* before the prompt is seen, which libedit shows first */
  const char *line = el_gets(editor, &count);
  reader = outer;
  if (before) uselocale(before);
  sigaction(SIGCONT, &continue_before, NULL);
  sigaction(SIGWINCH, &resize_before, NULL);
  sigaction(SIGINT, &interrupt_before, NULL);
  if (line && count > 0 && count <= MOST_LINE && !stopped && !broken) {
    if (interrupts) raise(SIGINT); /* meant for what was typed */
    lua_pushlstring(L, line, (size_t)(line[count - 1] == '\n' ? count - 1 : count));
    return 1;
  }
  if (stopped) el_reset(editor);
  fputs(stopped ? "^C\n" : "\n", stdout);
  fflush(stdout);
  lua_pushnil(L);
  lua_pushstring(L, stopped ? "stopped" : broken ? "broken" : "end");
  return 2;
}

/* complete(f): f(what stands before the cursor) → what to insert, or nil; what to show below, or nil; true where the
   line ends, for there is nobody left to run it */
static int set_completer(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, completer);
  return 0;
}

/* remember(entry): for the keys that go back */
static int remember(lua_State *L) {
  HistEvent event;
  const char *entry = luaL_checkstring(L, 1);
  start(L);
  locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;
  history(past, &event, H_ENTER, entry);
  if (before) uselocale(before);
  return 0;
}

/* append(path, bytes) → true, or nil and why. The file is this person's alone. */
static int append(lua_State *L) {
  size_t length;
  const char *path = luaL_checkstring(L, 1), *bytes = luaL_checklstring(L, 2, &length);
  int file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, S_IRUSR | S_IWUSR);
  struct stat about;
  bool done = file >= 0 && fstat(file, &about) == 0 && S_ISREG(about.st_mode) &&
              fchmod(file, S_IRUSR | S_IWUSR) == 0 && write(file, bytes, length) == (ssize_t)length;
  int error = errno;
  if (file >= 0) close(file);
  if (done) {
    lua_pushboolean(L, true);
    return 1;
  }
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", path, strerror(error));
  return 2;
}

/* temporary(ending) → path of a new empty file that nobody else can have made: /tmp/smrun-….png */
static int temporary(lua_State *L) {
  const char *ending = luaL_checkstring(L, 1), *directory = getenv("TMPDIR");
  if (!directory || *directory != '/') directory = "/tmp";
  const char *form = lua_pushfstring(L, "%s/smrun-XXXXXX%s", directory, ending);
  size_t size = strlen(form) + 1;
  char *path = lua_newuserdatauv(L, size, 0);
  memcpy(path, form, size);
  int file = mkostemps(path, (int)strlen(ending), O_CLOEXEC);
  if (file < 0) return luaL_error(L, "cannot make %s: %s", path, strerror(errno));
  close(file);
  lua_pushstring(L, path);
  return 1;
}

/* What the terminal answers, up to a character that ends it, or until the time is up. */
static size_t hear(char *answer, size_t room, char last, double seconds) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  double until = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec + seconds;
  size_t length = 0;
  while (length < room) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    double left = until - (double)now.tv_sec - 1e-9 * (double)now.tv_nsec;
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (left <= 0 || poll(&input, 1, (int)(1000 * left) + 1) <= 0) break;
    if (read(STDIN_FILENO, answer + length, 1) != 1) break;
    if (answer[length++] == last) break;
  }
  return length;
}

/* ask(question, last, seconds) → what the terminal answers, up to the character `last`; nil where it cannot be asked,
   or somebody is typing */
static int ask(lua_State *L) {
  enum { MOST_ANSWER = 1024 };
  size_t length;
  const char *question = luaL_checklstring(L, 1, &length), *last = luaL_checkstring(L, 2);
  double seconds = luaL_checknumber(L, 3);
  struct termios usual, raw;
  char answer[MOST_ANSWER];
  if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &usual) != 0 || more_is_typed()) return 0;
  raw = usual;
  raw.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
  raw.c_cc[VMIN] = 1;
  raw.c_cc[VTIME] = 0;
  if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) != 0) return 0;
  fwrite(question, 1, length, stdout);
  fflush(stdout);
  size_t heard = hear(answer, sizeof answer, *last, seconds);
  tcsetattr(STDIN_FILENO, TCSANOW, &usual);
  lua_pushlstring(L, answer, heard);
  return 1;
}

__attribute__((visibility("default"))) int luaopen_sm_prompt(lua_State *L);
int luaopen_sm_prompt(lua_State *L) {
  static const luaL_Reg functions[] = {{"read", read_line}, {"complete", set_completer}, {"remember", remember},
                                       {"append", append},  {"temporary", temporary},    {"ask", ask},
                                       {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}

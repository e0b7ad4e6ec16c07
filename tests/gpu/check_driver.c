/* The stand-in for CUDA's driver, opened as a program opens the real one: memory, modules, launches, order of
 * streams, graphs, and the codes that bad calls give. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t address;
static struct {
    int (*init)(unsigned), (*count)(int *), (*get)(int *, int), (*attribute)(int *, int, int),
        (*retain)(void **, int), (*release)(int), (*set)(void *), (*sync)(void);
    int (*alloc)(address *, size_t), (*release_memory)(address), (*pin)(void **, size_t), (*unpin)(void *);
    int (*to_device)(address, const void *, size_t), (*to_host)(void *, address, size_t),
        (*on_device)(address, address, size_t);
    int (*to_device_async)(address, const void *, size_t, void *),
        (*to_host_async)(void *, address, size_t, void *);
    int (*set8)(address, unsigned char, size_t), (*set32)(address, unsigned, size_t);
    int (*load)(void **, const void *), (*load_ex)(void **, const void *, unsigned, int *, void **),
        (*unload)(void *), (*function)(void **, void *, const char *),
        (*global)(address *, size_t *, void *, const char *);
    int (*function_set)(void *, int, int), (*launch)(void *, unsigned, unsigned, unsigned, unsigned, unsigned,
                                                     unsigned, unsigned, void *, void **, void **);
    int (*stream)(void **, unsigned), (*stream_free)(void *), (*stream_sync)(void *), (*stream_query)(void *),
        (*stream_wait)(void *, void *, unsigned);
    int (*event)(void **, unsigned), (*record)(void *, void *), (*event_query)(void *), (*event_sync)(void *),
        (*event_free)(void *), (*elapsed)(float *, void *, void *);
    int (*capture)(void *, int), (*end)(void *, void **), (*capturing)(void *, int *),
        (*instantiate)(void **, void *, unsigned long long), (*run)(void *, void *), (*exec_free)(void *),
        (*graph_free)(void *);
    int (*name)(int, const char **), (*entry)(const char *, void **, int, uint64_t, int *);
    int (*tensor)(void *, int, uint32_t, void *, const uint64_t *, const uint64_t *, const uint32_t *,
                  const uint32_t *, int, int, int, int);
} cu;
static const struct {
    void *to;
    const char *name;
} entries[] = {
    {&cu.init, "cuInit"},
    {&cu.count, "cuDeviceGetCount"},
    {&cu.get, "cuDeviceGet"},
    {&cu.attribute, "cuDeviceGetAttribute"},
    {&cu.retain, "cuDevicePrimaryCtxRetain"},
    {&cu.release, "cuDevicePrimaryCtxRelease_v2"},
    {&cu.set, "cuCtxSetCurrent"},
    {&cu.sync, "cuCtxSynchronize"},
    {&cu.alloc, "cuMemAlloc_v2"},
    {&cu.release_memory, "cuMemFree_v2"},
    {&cu.pin, "cuMemAllocHost_v2"},
    {&cu.unpin, "cuMemFreeHost"},
    {&cu.to_device, "cuMemcpyHtoD_v2"},
    {&cu.to_host, "cuMemcpyDtoH_v2"},
    {&cu.on_device, "cuMemcpyDtoD_v2"},
    {&cu.to_device_async, "cuMemcpyHtoDAsync_v2"},
    {&cu.to_host_async, "cuMemcpyDtoHAsync_v2"},
    {&cu.set8, "cuMemsetD8_v2"},
    {&cu.set32, "cuMemsetD32_v2"},
    {&cu.load, "cuModuleLoadData"},
    {&cu.load_ex, "cuModuleLoadDataEx"},
    {&cu.unload, "cuModuleUnload"},
    {&cu.function, "cuModuleGetFunction"},
    {&cu.global, "cuModuleGetGlobal_v2"},
    {&cu.function_set, "cuFuncSetAttribute"},
    {&cu.launch, "cuLaunchKernel"},
    {&cu.stream, "cuStreamCreate"},
    {&cu.stream_free, "cuStreamDestroy_v2"},
    {&cu.stream_sync, "cuStreamSynchronize"},
    {&cu.stream_query, "cuStreamQuery"},
    {&cu.stream_wait, "cuStreamWaitEvent"},
    {&cu.event, "cuEventCreate"},
    {&cu.record, "cuEventRecord"},
    {&cu.event_query, "cuEventQuery"},
    {&cu.event_sync, "cuEventSynchronize"},
    {&cu.event_free, "cuEventDestroy_v2"},
    {&cu.elapsed, "cuEventElapsedTime"},
    {&cu.capture, "cuStreamBeginCapture_v2"},
    {&cu.end, "cuStreamEndCapture"},
    {&cu.capturing, "cuStreamIsCapturing"},
    {&cu.instantiate, "cuGraphInstantiateWithFlags"},
    {&cu.run, "cuGraphLaunch"},
    {&cu.exec_free, "cuGraphExecDestroy"},
    {&cu.graph_free, "cuGraphDestroy"},
    {&cu.name, "cuGetErrorName"},
    {&cu.entry, "cuGetProcAddress_v2"},
    {&cu.tensor, "cuTensorMapEncodeTiled"},
};

static const char text[] =
    ".version 8.0\n.target sm_80\n.address_size 64\n.visible .global .align 4 .b32 step = 5;\n"
    ".visible .entry add(.param .u64 data, .param .u8 scale, .param .u32 n)\n{\n.reg .pred %p<2>; .reg .b16 "
    "%rs<2>; .reg .b32 %r<9>; .reg .b64 %rd<4>;\n"
    "ld.param.u64 %rd1, [data]; ld.param.u8 %rs1, [scale]; ld.param.u32 %r1, [n]; mov.u32 %r2, %tid.x; "
    "mov.u32 %r3, %ctaid.x; mov.u32 %r4, %ntid.x; mad.lo.u32 %r2, %r3, %r4, %r2;\n"
    "setp.ge.u32 %p1, %r2, %r1; @%p1 bra OUT; mad.wide.u32 %rd2, %r2, 4, %rd1; ld.global.u32 %r5, [%rd2]; "
    "ld.global.u32 %r6, [step]; cvt.u32.u16 %r7, %rs1; mad.lo.u32 %r5, %r6, %r7, %r5; st.global.u32 [%rd2], "
    "%r5;\nOUT: ret;\n}\n"
    ".visible .entry bad(.param .u64 data) { .reg .b64 %rd<2>; ld.param.u64 %rd1, [data]; st.global.u32 "
    "[%rd1+-4], 1; ret; }\n"
    ".extern .shared .align 16 .b8 much[];\n.visible .entry large() { st.shared.b32 [much+98300], 1; ret; "
    "}\n";
static void *module, *add, *bad, *large, *context;

static void open_driver(void) {
    void *library = dlopen("tests/gpu/libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    cr_assert(library, "%s", dlerror());
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        void *at = dlsym(library, entries[i].name);
        cr_assert(at, "%s", entries[i].name);
        memcpy(entries[i].to, &at, sizeof at);
    }
}
#define GOOD(call)                                                                                           \
    do {                                                                                                     \
        int code_ = call;                                                                                    \
        cr_assert_eq(code_, 0, "%s: %d", #call, code_);                                                      \
    } while (0)
#define IS(code, call)                                                                                       \
    do {                                                                                                     \
        int code_ = call;                                                                                    \
        cr_expect_eq(code_, code, "%s: %d", #call, code_);                                                   \
    } while (0)
static void start(void) {
    open_driver();
    GOOD(cu.init(0));
    GOOD(cu.retain(&context, 0));
    GOOD(cu.set(context));
    GOOD(cu.load(&module, text));
    GOOD(cu.function(&add, module, "add"));
    GOOD(cu.function(&bad, module, "bad"));
    GOOD(cu.function(&large, module, "large"));
}
static int launch_add(address data, unsigned char scale, uint32_t n, void *stream) {
    void *params[] = {&data, &scale, &n};
    return cu.launch(add, (n + 63) / 64, 1, 1, 64, 1, 1, 0, stream, params, NULL);
}

Test(driver, before_anything) {
    open_driver();
    int n;
    address a;
    IS(3, cu.count(&n));
    IS(3, cu.alloc(&a, 16));
    GOOD(cu.init(0));
    IS(201, cu.alloc(&a, 16));
    GOOD(cu.count(&n));
    cr_expect_eq(n, 1);
    IS(101, cu.get(&n, 1));
    GOOD(cu.attribute(&n, 75, 0));
    cr_expect_eq(n, 9);
    setenv("MDL_FAKE_SM", "80", 1);
    GOOD(cu.attribute(&n, 75, 0));
    cr_expect_eq(n, 8);
    GOOD(cu.attribute(&n, 97, 0));
    cr_expect_eq(n, 163 << 10);
    const char *name;
    GOOD(cu.name(719, &name));
    cr_expect(!strcmp(name, "CUDA_ERROR_LAUNCH_FAILED"));
    void *function;
    GOOD(cu.entry("cuMemAlloc", &function, 12000, 0, &n));
    cr_expect(function == *(void **)&cu.alloc);
    IS(500, cu.entry("cuNothing", &function, 12000, 0, &n));
}

Test(driver, kernels_run, .init = start) {
    uint32_t host[100], back[100], step = 7;
    address data, where;
    size_t bytes;
    for (uint32_t i = 0; i < 100; i++) host[i] = i;
    GOOD(cu.alloc(&data, sizeof host));
    GOOD(cu.to_device(data, host, sizeof host));
    GOOD(launch_add(data, 3, 99, NULL));
    GOOD(cu.to_host(back, data, sizeof back));
    for (uint32_t i = 0; i < 100; i++) cr_expect_eq(back[i], i < 99 ? i + 15 : 99);
    GOOD(cu.global(&where, &bytes, module, "step"));
    cr_expect_eq(bytes, 4);
    GOOD(cu.to_device(where, &step, 4));
    GOOD(launch_add(data, 1, 100, NULL));
    GOOD(cu.set32(data, 11, 1));
    GOOD(cu.set8(data + 4, 1, 4));
    GOOD(cu.to_host(back, data, sizeof back));
    cr_expect(back[0] == 11 && back[1] == 0x01010101 && back[2] == 2 + 15 + 7 && back[99] == 106);
    GOOD(cu.release_memory(data));
    GOOD(cu.unload(module));
}

static void touch(void) { /* as a program that mixes up the two memories */
    address data;
    start();
    signal(SIGSEGV, SIG_DFL); /* sanitizers have a handler of their own */
    GOOD(cu.alloc(&data, 64));
    *(volatile char *)(uintptr_t)data = 1;
}
Test(driver, the_host_cannot_reach_device_memory, .signal = SIGSEGV) { touch(); }

Test(driver, bad_calls, .init = start) {
    address data;
    char host[64] = {0};
    int value = 0;
    void *p = NULL;
    GOOD(cu.alloc(&data, 64));
    IS(1, cu.to_device(data, host, 65));
    IS(1, cu.to_device(data + 1, host, 64));
    IS(1, cu.to_device((address)(uintptr_t)host, host, 4));
    IS(1, cu.to_host((void *)(uintptr_t)data, data, 4));
    IS(1, cu.on_device(data, data + 60, 8));
    IS(1, cu.set32(data + 2, 0, 1));
    IS(1, cu.release_memory(data + 16));
    GOOD(cu.release_memory(data));
    IS(1, cu.release_memory(data));
    IS(1, cu.to_host(host, data, 4));
    IS(2, cu.alloc(&data, (size_t)1 << 40));
    IS(1, cu.alloc(&data, 0));
    IS(500, cu.function(&p, module, "none"));
    IS(209, cu.load(&p, "\177ELF\2\1\1"));
    IS(218, cu.load(&p, ".version 8.0\n.target sm_100\n"));
    char log[256] = "";
    void *values[] = {log, (void *)(uintptr_t)sizeof log};
    IS(218, cu.load_ex(&p, ".version 8.0\n.target sm_80\n.visible .entry k() { nonsense; }", 2, (int[]){5, 6},
                       values));
    cr_expect(strstr(log, "line 3: nonsense;: opcode is not known"), "%s", log);
    IS(1, cu.launch(add, 0, 1, 1, 32, 1, 1, 0, NULL, (void *[]){&data, &value, &value}, NULL));
    IS(1, cu.launch(add, 1, 1, 1, 2048, 1, 1, 0, NULL, (void *[]){&data, &value, &value}, NULL));
    IS(1, cu.launch(large, 1, 1, 1, 32, 1, 1, 98304, NULL, NULL, NULL));
    IS(1, cu.function_set(large, 8, 228 << 10));
    GOOD(cu.function_set(large, 8, 98304));
    GOOD(cu.launch(large, 1, 1, 1, 1, 1, 1, 98304, NULL, NULL, NULL));
    GOOD(cu.sync());
    IS(400, cu.stream_sync((void *)host));
    GOOD(cu.stream(&p, 1));
    IS(903, cu.end(p, &p));
}

Test(driver, streams_do_nothing_before_their_time, .init = start) {
    void *one, *two, *event, *host;
    address data;
    GOOD(cu.stream(&one, 1));
    GOOD(cu.stream(&two, 1));
    GOOD(cu.event(&event, 0));
    GOOD(cu.pin(&host, 256));
    uint32_t *number = host;
    GOOD(cu.alloc(&data, 256));
    number[0] = 1;
    GOOD(cu.to_device_async(data, host, 256, one));
    number[0] = 2; /* too early: the copy takes what is there when its time comes */
    GOOD(launch_add(data, 2, 1, one));
    GOOD(cu.record(event, one));
    IS(600, cu.event_query(event));
    GOOD(cu.stream_wait(two, event, 0));
    GOOD(cu.to_host_async(number + 1, data, 4, two));
    cr_expect_neq(number[1], 12); /* nobody waited */
    IS(600, cu.stream_query(one));
    GOOD(cu.stream_sync(two));
    GOOD(cu.event_query(event));
    cr_expect_eq(number[1], 12);
    GOOD(cu.stream_free(one));
    GOOD(cu.event_free(event));
    GOOD(cu.unpin(host));
}

Test(driver, graphs_hold_what_was_captured, .init = start) {
    void *s, *graph, *exec;
    address data;
    uint32_t back;
    int status;
    GOOD(cu.stream(&s, 1));
    GOOD(cu.alloc(&data, 4));
    GOOD(cu.set32(data, 100, 1));
    GOOD(cu.capture(s, 0));
    GOOD(launch_add(data, 1, 1, s));
    GOOD(launch_add(data, 1, 1, s));
    IS(900, cu.stream_sync(s));
    GOOD(cu.capturing(s, &status));
    cr_expect_eq(status, 1);
    GOOD(cu.end(s, &graph));
    GOOD(cu.to_host(&back, data, 4));
    cr_expect_eq(back, 100);
    GOOD(cu.instantiate(&exec, graph, 0));
    GOOD(cu.graph_free(graph));
    for (int i = 0; i < 3; i++) GOOD(cu.run(exec, s));
    GOOD(cu.exec_free(exec)); /* while it is still to run */
    GOOD(cu.stream_sync(s));
    GOOD(cu.to_host(&back, data, 4));
    cr_expect_eq(back, 130);
}

Test(driver, failed_kernels_are_reported_at_the_next_wait, .init = start) {
    address data;
    GOOD(cu.alloc(&data, 64));
    GOOD(cu.launch(bad, 1, 1, 1, 32, 1, 1, 0, NULL, (void *[]){&data}, NULL));
    IS(719, cu.sync());
    IS(719, cu.alloc(&data, 64)); /* and from then on */
}

Test(driver, tensor_maps, .init = start) {
    _Alignas(64) unsigned char map[128];
    address data;
    GOOD(cu.alloc(&data, 1 << 16));
    void *at = (void *)(uintptr_t)data;
    const uint64_t extents[] = {100, 50}, strides[] = {208}, odd[] = {204};
    const uint32_t box[] = {64, 8}, wide[] = {128, 8}, thin[] = {4, 8}, steps[] = {1, 1};
    GOOD(cu.tensor(map, 9, 2, at, extents, strides, box, steps, 0, 3, 0, 0));
    IS(1, cu.tensor(map, 9, 2, at, extents, odd, box, steps, 0, 3, 0, 0));
    IS(1, cu.tensor(map, 9, 2, at, extents, strides, wide, steps, 0, 3, 0, 0));
    IS(1, cu.tensor(map, 9, 2, at, extents, strides, thin, steps, 0, 0, 0, 0));
    IS(1, cu.tensor(map + 1, 9, 2, at, extents, strides, box, steps, 0, 3, 0, 0));
    IS(1, cu.tensor(map, 9, 6, at, extents, strides, box, steps, 0, 3, 0, 0));
}

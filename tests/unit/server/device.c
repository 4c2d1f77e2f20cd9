/* SPDX-License-Identifier: MIT */
#include "device.h"

#include <stdlib.h>

/* ---- set-up ---- */

/* A guest of an old version cannot get its monitor pages back. */
static uint64_t kept_at_start;

static uint64_t pages_kept(void)
{
    struct vmbus_statistics statistics;

    vmbus_statistics(&statistics);
    return statistics.pages_kept;
}

int server_test_setup(void **state)
{
    (void)test_arch_setup(state);
    test_memory_reset();
    loopback_start(NULL);
    kept_at_start = pages_kept();
    return 0;
}

int server_test_teardown(void **state)
{
    (void)state;
    test_memory_fail(0);
    loopback_end();
    assert_int_equal(test_memory_held(), 0);
    assert_int_equal(test_pages_held(), pages_kept() - kept_at_start);
    return 0;
}

void server_test_restart(const struct vmbus_server_options *options)
{
    loopback_end();
    loopback_start(options);
}

/* ---- the device ---- */

static void called(struct device *device, enum device_call call)
{
    assert_int_equal(irql_current(), IRQL_DISPATCH);
    assert_true(device->call_count < sizeof(device->calls) - 1);
    device->calls[device->call_count++] = (char)call;
}

enum vmbus_status device_accept(struct device *device)
{
    device->busy = true;
    enum vmbus_status status = vmbus_server_map_rings(device->channel);
    if (status == VMBUS_REFUSED) {
        (void)vmbus_server_open_done(device->channel, FAILURE);
    } else if (status == VMBUS_OK) {
        status = vmbus_server_open_done(device->channel, device->open_status);
    }
    device->busy = false;
    if (device->close_waits) {
        device->close_waits = false;
        vmbus_server_close_done(device->channel);
    }
    return status;
}

static void on_open(void *context, const struct vmbus_server_open *request)
{
    struct device *device = context;

    called(device, CALLED_OPEN);
    device->request = *request;
    if (!device->waits && device_accept(device) == VMBUS_OK && device->open_status == 0) {
        device_drain(device);
    }
}

static void on_close(void *context)
{
    struct device *device = context;

    called(device, CALLED_CLOSE);
    if (!device->waits && device->busy) {
        device->close_waits = true;
    } else if (!device->waits) {
        vmbus_server_close_done(device->channel);
    }
}

static void on_event(void *context)
{
    struct device *device = context;

    assert_int_equal(irql_current(), IRQL_DISPATCH);
    device->events++;
    if (device->on_event != NULL) {
        device->on_event(device);
    } else {
        device_drain(device);
    }
}

static void on_wanted(void *context, uint32_t gpadl)
{
    struct device *device = context;

    called(device, CALLED_WANTED);
    device->wanted = gpadl;
    if (!device->waits && !device->keeps_gpadls) {
        assert_int_equal(vmbus_server_gpadl_unmap(device->channel, gpadl), VMBUS_OK);
    }
}

static void on_released(void *context)
{
    struct device *device = context;

    called(device, CALLED_RELEASED);
    device->channel = NULL;
    device->revoked = false;
}

/* One packet back for each that came; false: the ring is broken, or full. */
static bool echo(struct device *device)
{
    struct ring_reader *reader = vmbus_server_incoming(device->channel);
    struct ring_writer *writer = vmbus_server_outgoing(device->channel);
    uint8_t buffer[1024];
    struct ring_packet_in packet;
    enum ring_status status;

    while ((status = ring_reader_next(reader, buffer, sizeof(buffer), &packet)) == RING_OK) {
        const struct ring_packet_out out = {
            .transaction_id = packet.transaction_id,
            .type = RING_PACKET_COMPLETION,
            .payload = buffer + packet.extension_length,
            .payload_length = packet.payload_length,
        };
        if (ring_writer_put(writer, &out) != RING_OK) {
            return false;
        }
    }
    return status != RING_CORRUPT;
}

void device_drain(struct device *device)
{
    struct ring_reader *reader = vmbus_server_incoming(device->channel);
    bool signal = false;

    if (!device->echoes) {
        return;
    }
    do {
        ring_reader_mask(reader);
        if (!echo(device)) {
            return;
        }
        signal |= ring_writer_commit(vmbus_server_outgoing(device->channel));
        signal |= ring_reader_publish(reader);
    } while (ring_reader_unmask(reader));
    if (signal) {
        vmbus_server_raise(device->channel);
    }
}

struct vmbus_server_offer device_offer(uint32_t number)
{
    const struct vmbus_server_offer offer = {
        .interface_type = {0xC0FFEE00, 1, 2, {3, 4, 5, 6, 7, 8, 9, 10}},
        .interface_instance = {number, 11, 12, {13, 14, 15, 16, 17, 18, 19, 20}},
        .relid = number,
    };

    return offer;
}

enum vmbus_status device_offer_now(struct device *device)
{
    const struct vmbus_server_owner owner = {
        .open = on_open,
        .close = on_close,
        .event = on_event,
        .gpadl_wanted = on_wanted,
        .released = on_released,
        .context = device,
    };

    return vmbus_server_offer(loopback_server, &device->offer, &owner, &device->channel);
}

void device_start(struct device *device, uint32_t number)
{
    *device = (struct device){.offer = device_offer(number)};
    assert_int_equal(device_offer_now(device), VMBUS_OK);
}

uint32_t device_relid(const struct device *device)
{
    return vmbus_server_channel_relid(device->channel);
}

enum vmbus_server_state device_state(const struct device *device)
{
    return vmbus_server_channel_state(device->channel);
}

void expect_calls(struct device *device, const char *calls)
{
    assert_string_equal(device->calls, calls);
    memset(device->calls, 0, sizeof(device->calls));
    device->call_count = 0;
}

/* ---- the guest, by hand ---- */

hv_status guest_post(const void *message, uint32_t size)
{
    return hv_post_message(VMBUS_CONNECTION_ID_MESSAGES, message, size);
}

hv_status guest_words(uint32_t type, uint32_t size, uint32_t a, uint32_t b, uint32_t c, uint32_t d,
                      uint32_t e)
{
    uint8_t bytes[240] = {0};
    const uint32_t words[] = {type, 0, a, b, c, d, e};

    memcpy(bytes, words, sizeof(words));
    return guest_post(bytes, size);
}

void guest_contact(uint32_t version)
{
    const struct vmbus_message_initiate_contact contact = {
        .header = {.type = 14},
        .version = version,
        .target = {.sint = version >= VMBUS_VERSION_5_0 ? 2 : 0},
    };

    assert_int_equal(hv_post_message(version >= VMBUS_VERSION_5_0 ? 4 : 1, &contact, 40),
                     HV_STATUS_SUCCESS);
}

void guest_connect(uint32_t version)
{
    guest_contact(version);
    assert_int_equal(vmbus_server_version(loopback_server), version);
    assert_int_equal(guest_words(3, 8, 0, 0, 0, 0, 0), HV_STATUS_SUCCESS);
    loopback_log_clear();
}

void guest_send_gpadl(uint32_t relid, uint32_t id, uint32_t range_count, const uint64_t *words,
                      uint32_t count)
{
    uint32_t done = count < 27 ? count : 27;
    _Alignas(8) uint8_t bytes[240] = {8};
    const uint32_t fields[] = {relid, id, count * 8 | range_count << 16};

    memcpy(bytes + 8, fields, sizeof(fields));
    memcpy(bytes + 20, words, (size_t)done * 8);
    assert_int_equal(guest_post(bytes, 20 + done * 8), HV_STATUS_SUCCESS);
    while (done < count) {
        uint32_t part = count - done < 28 ? count - done : 28;
        memset(bytes, 0, sizeof(bytes));
        bytes[0] = 9;
        memcpy(bytes + 12, &id, 4);
        memcpy(bytes + 16, words + done, (size_t)part * 8);
        assert_int_equal(guest_post(bytes, 16 + part * 8), HV_STATUS_SUCCESS);
        done += part;
    }
}

bool guest_gpadl(uint32_t relid, uint32_t id, const void *memory, uint32_t pages)
{
    uint64_t *words = calloc(pages + 1, 8);

    words[0] = (uint64_t)pages * PAGE_SIZE;
    for (uint32_t i = 0; i < pages; i++) {
        words[i + 1] = page_frame_of(memory) + i;
    }
    unsigned before = loopback_count_to_guest(10);
    guest_send_gpadl(relid, id, 1, words, pages + 1);
    free(words);
    const struct loopback_message *created = loopback_to_guest(10, before);
    assert_non_null(created);
    assert_int_equal(loopback_word(created, 8), relid);
    assert_int_equal(loopback_word(created, 12), id);
    return loopback_word(created, 16) == 0;
}

void guest_teardown(uint32_t relid, uint32_t id)
{
    (void)guest_words(11, 16, relid, id, 0, 0, 0);
}

void guest_open(uint32_t relid, uint32_t open_id, uint32_t gpadl, uint32_t downstream)
{
    (void)guest_words(5, 148, relid, open_id, gpadl, 0, downstream);
}

void guest_close(uint32_t relid)
{
    (void)guest_words(7, 12, relid, 0, 0, 0, 0);
}

void guest_release(uint32_t relid)
{
    (void)guest_words(13, 12, relid, 0, 0, 0, 0);
}

void guest_unload(void)
{
    (void)guest_words(16, 8, 0, 0, 0, 0, 0);
}

void *guest_open_rings(uint32_t relid)
{
    void *memory = pages_allocate_zeroed(RING_PAGES);

    assert_true(guest_gpadl(relid, relid, memory, RING_PAGES));
    loopback_log_clear();
    guest_open(relid, 7, relid, RING_PAGES / 2);
    return memory;
}

void expect_answer(uint32_t type, uint32_t a, uint32_t b, uint32_t c)
{
    const struct loopback_message *message = loopback_to_guest(0, 0);

    assert_non_null(message);
    assert_null(loopback_to_guest(0, 1));
    assert_int_equal(loopback_word(message, 0), type);
    assert_int_equal(loopback_word(message, 8), a);
    assert_int_equal(loopback_word(message, 12), b);
    assert_int_equal(loopback_word(message, 16), c);
    loopback_log_clear();
}

void expect_silence(void)
{
    assert_null(loopback_to_guest(0, 0));
}

#include "gateway/registration_networks.h"

#include <gtest/gtest.h>

namespace flexpert::gateway {
namespace {

RegistrationNetworks networks(const std::vector<std::string>& cidrs) {
  auto parsed = RegistrationNetworks::parse(cidrs);
  EXPECT_TRUE(parsed) << parsed.error().message;
  return parsed.value_or(RegistrationNetworks());
}

TEST(RegistrationNetworks, OnlyWhatIsListedMayRegister) {
  const auto listed = networks({"10.1.0.0/16", "192.168.7.9", "fd12:3456::/32"});
  for (const char* good : {"10.1.0.0", "10.1.255.255", "192.168.7.9", "fd12:3456::1"}) EXPECT_TRUE(listed.permits(good)) << good;
  for (const char* bad : {"10.2.0.0", "10.0.255.255", "192.168.7.8", "fd12:3457::1", "8.8.8.8", "not-an-address", "", "10.1.0.0/16", "10.1.0"})
    EXPECT_FALSE(listed.permits(bad)) << bad;
  EXPECT_FALSE(networks({}).permits("10.1.0.1"));
}

TEST(RegistrationNetworks, DangerousAddressesAreNeverPermitted) {
  const auto all = networks({"0.0.0.0/0", "::/0", "169.254.0.0/16", "169.254.169.254", "fd00:ec2::254", "fe80::/10", "224.0.0.0/4"});
  for (const char* bad : {"169.254.169.254", "169.254.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254", "fe80::1",
                          "224.0.0.1", "239.1.2.3", "ff02::1", "0.0.0.0", "0.1.2.3", "::", "255.255.255.255", "240.0.0.1", "fec0::1"})
    EXPECT_FALSE(all.permits(bad)) << bad;
  EXPECT_TRUE(all.permits("8.8.8.8"));
  EXPECT_TRUE(all.permits("2a00::1"));
}

TEST(RegistrationNetworks, AnIpv4AddressInsideAnIpv6OneIsNoWayAround) {
  const auto all = networks({"0.0.0.0/0", "::/0"});
  for (const char* bad : {"::ffff:169.254.169.254", "::ffff:10.0.0.1", "::169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:0:169.254.169.254",
                          "::ffff:127.0.0.1", "2001:0:a9fe:a9fe::"})
    EXPECT_FALSE(all.permits(bad)) << bad;
}

TEST(RegistrationNetworks, LoopbackOnlyWhereItIsMeant) {
  const auto all = networks({"0.0.0.0/0", "::/0"});
  for (const char* loopback : {"127.0.0.1", "127.9.9.9", "::1"}) EXPECT_FALSE(all.permits(loopback)) << loopback;
  const auto own = networks({"127.0.0.0/8", "::1/128"});
  for (const char* loopback : {"127.0.0.1", "127.9.9.9", "::1"}) EXPECT_TRUE(own.permits(loopback)) << loopback;
  EXPECT_FALSE(networks({"127.0.0.1"}).permits("127.0.0.2"));
}

TEST(RegistrationNetworks, FamiliesDoNotMix) {
  EXPECT_FALSE(networks({"::/0"}).permits("10.0.0.1"));
  EXPECT_FALSE(networks({"0.0.0.0/0"}).permits("2a00::1"));
}

TEST(RegistrationNetworks, RefusesWhatIsNoNetwork) {
  for (const char* bad : {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/8x", "10.0.0.0/-1", "example.org", "10.0.0.0 /8", ""}) {
    const auto parsed = RegistrationNetworks::parse({bad});
    ASSERT_FALSE(parsed) << bad;
    EXPECT_NE(parsed.error().message.find("access.pool_networks"), std::string::npos);
  }
}

}  // namespace
}  // namespace flexpert::gateway

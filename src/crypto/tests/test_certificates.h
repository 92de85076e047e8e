#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

/// Certificates made on the spot. For tests.
namespace flexpert::crypto {

struct KeyRelease {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct CertificateRelease {
  void operator()(X509* certificate) const { X509_free(certificate); }
};

/// A certificate with its private key.
struct TestCertificate {
  std::unique_ptr<EVP_PKEY, KeyRelease> key;
  std::unique_ptr<X509, CertificateRelease> certificate;

  [[nodiscard]] std::string certificate_pem() const {
    BIO* const bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, certificate.get());
    return taken(bio);
  }
  [[nodiscard]] std::string key_pem(const char* passphrase = nullptr) const {
    BIO* const bio = BIO_new(BIO_s_mem());
    const int length = passphrase == nullptr ? 0 : static_cast<int>(std::string(passphrase).size());
    PEM_write_bio_PrivateKey(bio, key.get(), passphrase == nullptr ? nullptr : EVP_aes_128_cbc(),
                             reinterpret_cast<const unsigned char*>(passphrase), length, nullptr, nullptr);
    return taken(bio);
  }

 private:
  static std::string taken(BIO* bio) {
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio, &text);
    std::string pem(text, static_cast<std::size_t>(size));
    BIO_free(bio);
    return pem;
  }
};

/// Makes a certificate for `names` ("DNS:localhost,IP:127.0.0.1"; empty: an authority), valid from now - 1 h to now + `seconds`,
/// signed by `issuer`, or by itself.
inline TestCertificate make_certificate(const std::string& names, const TestCertificate* issuer = nullptr, long seconds = 3600) {
  static std::atomic<long> serial{1};
  TestCertificate made{.key = std::unique_ptr<EVP_PKEY, KeyRelease>(EVP_EC_gen("P-256")),
                       .certificate = std::unique_ptr<X509, CertificateRelease>(X509_new())};
  X509* const x = made.certificate.get();
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
  X509_gmtime_adj(X509_getm_notBefore(x), -7200);
  X509_gmtime_adj(X509_getm_notAfter(x), seconds);
  X509_set_pubkey(x, made.key.get());
  const std::string name = names.empty() ? "test authority " + std::to_string(serial) : "test server";
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(x, X509_get_subject_name(issuer == nullptr ? x : issuer->certificate.get()));
  const auto extend = [x](int kind, const std::string& value) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value.c_str());
    X509_add_ext(x, extension, -1);
    X509_EXTENSION_free(extension);
  };
  extend(NID_basic_constraints, names.empty() ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (!names.empty()) extend(NID_subject_alt_name, names);
  X509_sign(x, (issuer == nullptr ? made.key : issuer->key).get(), EVP_sha256());
  return made;
}

/// A folder with files, gone with it.
class TestFolder {
 public:
  TestFolder() {
    static std::atomic<int> count{0};
    path_ = std::filesystem::temp_directory_path() / ("flexpert-tls-" + std::to_string(::getpid()) + "-" + std::to_string(count++));
    std::filesystem::create_directories(path_);
  }
  ~TestFolder() { std::filesystem::remove_all(path_); }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  /// Writes a file and returns its path.
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name, std::ios::binary) << text;
    return (path_ / name).string();
  }

 private:
  std::filesystem::path path_;
};

}  // namespace flexpert::crypto

// The job with ROOT's RDataFrame, compiled: `vary` as the manual has it, `fused` with an action
// that fills all variations in one pass.
//
// Usage: rdataframe vary|fused INPUT WARM_UP VARIATIONS UNIVERSES THREADS OUTPUT
//
// OUTPUT gets the sums of weights and then those of squares: float64, in the order variation,
// category, T, T theta^2. One line of JSON goes to stdout.
#include <ROOT/RDF/RResultMap.hxx>
#include <ROOT/RDFHelpers.hxx>
#include <ROOT/RDataFrame.hxx>
#include <TH3D.h>
#include <TROOT.h>

#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "constants.h"

using ROOT::RVec;
using ROOT::RVecD;
using ROOT::RVecF;
using ROOT::RVecI;
using ROOT::RDF::RNode;
using Bytes = RVec<char>;

namespace {

const double kMissing = std::numeric_limits<double>::quiet_NaN();

enum Category { kSignal, kMagnetic, kNueCC, kNumuCC, kNC, kCosmic };

template <typename T>
double First(const RVec<T> &values, double missing = kMissing) {
  return values.empty() ? missing : double(values[0]);
}

double Theta(const RVecF &xs, const RVecF &ys, const RVecF &zs) {
  const double x = First(xs), y = First(ys), z = First(zs);
  const double norm = std::sqrt(x * x + y * y + z * z);
  const double dx = x / norm - kBeamX, dy = y / norm - kBeamY, dz = z / norm - kBeamZ;
  return 2. * std::asin(std::min(.5 * std::sqrt(dx * dx + dy * dy + dz * dz), 1.));
}

// Tree-level shape and the ratios to it; no slice of the file is outside phase space.
struct Scattering {
  double T, E, left, right;
  bool nue, anti;

  Scattering(double recoil, double energy, int pdg) : E(energy), nue(std::abs(pdg) == 12), anti(pdg < 0) {
    T = std::min(recoil, 2. * E * E / (kElectronMass + 2. * E));
    left = kSin2ThetaW + (nue ? .5 : -.5);
    right = kSin2ThetaW;
    if (anti) std::swap(left, right);
  }
  double Tree() const {
    const double falling = right * (E - T) / E;
    return left * left + falling * falling - left * right * kElectronMass * T / E / E;
  }
  double Magnetic() const { return kMagneticOverSM * (E - T) / E / T / Tree(); }
  double Sarantakos() const {
    double l = nue ? kLeftNue : kLeftNumu, r = kRight;
    if (anti) std::swap(l, r);
    const double y = T / E, rest = (E - T) / E, loop = kAlpha / M_PI;
    const double common = -M_PI * M_PI / 6. - 2. / 3. * std::log(2. * T / kElectronMass);
    const double flat = 1. + loop * (common + 23. / 72. - 5. * y / 12. + y * y / 24.);
    const double falling = rest * rest + loop * ((common - 1. / 18.) * rest * rest + 1. / 24. + rest / 3.);
    return (l * l * flat + r * r * falling - l * r * kElectronMass * y / E) / Tree();
  }
};

double TrueRecoil(const RVecI &pdg, const RVecD &energy) {
  for (size_t i = 0; i < pdg.size(); ++i)
    if (std::abs(pdg[i]) == 11) return energy[i] - kElectronMass;
  return kMissing;
}

int Categorise(const RVecI &pdgs, const Bytes &ccs, const RVecI &inttypes) {
  if (First(inttypes, -1.) == kNuoneInttype) return kSignal;
  const int pdg = int(First(pdgs, 0.));
  if (pdg == 0) return kCosmic;
  const bool cc = First(ccs, 0.) != 0.;
  if (cc && std::abs(pdg) == 12) return kNueCC;
  if (cc && std::abs(pdg) == 14) return kNumuCC;
  return kNC;
}

// Cell of flavour and energy; -1 without a neutrino.
int Cell(const RVecI &pdg, const RVecD &energy) {
  for (int flavour = 0; flavour < 4 && !pdg.empty(); ++flavour)
    if (pdg[0] == kFlavours[flavour])
      return flavour * kEnergyCells + int(std::min(energy[0] / kCellWidth, kEnergyCells - 1.));
  return -1;
}

struct Job {
  std::string mode, input, output;
  int variations, universes;
};

const std::string kPng = "rec.vtx.elastic.fuzzyk.png.", kNu = "rec.mc.nu.";

// Selection, category, and the nominal weight of a slice as itself and as template.
RNode Select(RNode df) {
  return df
      .Filter([](const RVecF &energy) { return !energy.empty() && energy[0] > .5f && energy[0] < 5.f; },
              {kPng + "shwlid.calE"})
      .Filter([](const RVecF &id, float nuone, float epi0) { return id[0] > .5 && nuone > .73 && epi0 > .92; },
              {kPng + "cvnpart.electronid", "rec.sel.nuone.nuoneid", "rec.sel.nuone.epi0nuoneid"})
      .Define("recoil", [](const RVecF &energy) { return double(energy[0]) - kElectronMass; },
              {kPng + "shwlid.calE"})
      .Define("ttheta2",
              [](double T, const RVecF &x, const RVecF &y, const RVecF &z) {
                const double theta = Theta(x, y, z);
                return T * theta * theta;
              },
              {"recoil", kPng + "dir.x", kPng + "dir.y", kPng + "dir.z"})
      .Filter([](double ttheta2) { return ttheta2 < kTTheta2Max; }, {"ttheta2"})
      .Define("category", Categorise, {kNu + "pdg", kNu + "iscc", kNu + "inttype"})
      .Define("cell", Cell, {kNu + "pdg", kNu + "E"})
      .Define("cv",
              [](const RVecF &cv) {
                const double weight = First(cv, 1.);
                return weight > kNoWeight ? 1. : weight;
              },
              {kNu + "rwgt.ppfx.cv"})
      .Define("scattering",
              [](int category, const RVecI &pdg, const RVecD &E, const RVecI &primary, const RVecD &energy) {
                if (category != kSignal) return std::pair(1., 0.);
                const Scattering event(TrueRecoil(primary, energy), E[0], pdg[0]);
                return std::pair(event.Sarantakos(), event.Magnetic());
              },
              {"category", kNu + "pdg", kNu + "E", kNu + "prim.pdg", kNu + "prim.p.E"})
      .Define("weight", [](double cv, const std::pair<double, double> &s) { return cv * s.first; },
              {"cv", "scattering"})
      .Define("magnetic", [](double cv, const std::pair<double, double> &s) { return cv * s.second; },
              {"cv", "scattering"});
}

double Universe(float weight, double cv) { return (weight > kNoWeight ? 1. : double(weight)) / cv; }

// What the factors of a slice are made of, besides its own weights.
struct Factors {
  int knobs, universes, tabled;
  std::vector<double> table;

  explicit Factors(const Job &job)
      : knobs(std::min(job.variations, 2 * kKnobs)),
        universes(std::min(job.variations - knobs, job.universes)),
        tabled(job.variations - knobs - universes), table(size_t(4 * kEnergyCells) * tabled) {
    for (int c = 0; c < 4 * kEnergyCells; ++c)
      for (int u = 0; u < tabled; ++u)
        table[size_t(c) * tabled + u] = 1. + .1 * std::sin(double(c + 1) * double(u + 1));
  }
  // Calls `f(v, factor)` for every variation v = 0, 1, ... of a slice with a neutrino.
  template <typename F>
  void Each(const RVecF &up, const RVecF &down, const RVecF &vuniv, double cv, int cell, F &&f) const {
    int v = 0;
    for (; v < knobs; ++v) f(v, double(v % 2 ? down[v / 2] : up[v / 2]));
    for (int u = 0; u < universes; ++u, ++v) f(v, Universe(vuniv[u], cv));
    const double *row = table.data() + size_t(std::max(cell, 0)) * tabled;
    for (int u = 0; u < tabled; ++u, ++v) f(v, cell < 0 ? 1. : row[u]);
  }
};

// Branches that the variations need; the first one stands for those that they do not need.
std::vector<std::string> WeightBranches(const Job &job) {
  const auto up = kNu + "rwgt.genie.plus1sigma";
  return {up, job.variations > 1 ? kNu + "rwgt.genie.minus1sigma" : up,
          job.variations > 2 * kKnobs ? kNu + "rwgt.ppfx.vuniv" : up};
}

constexpr int kPlane = kBins * kBins, kTable = kCategories * kPlane;

double CpuSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval &t) { return t.tv_sec + 1e-6 * t.tv_usec; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Not ru_maxrss, which a process inherits from the one that started it.
long PeakKilobytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmHWM:", 0) == 0) return std::stol(line.substr(6));
  return 0;
}

// The sums in the order of the result, and what everything up to putting them in order took.
struct Output {
  using Clock = std::chrono::steady_clock;

  double cpu = CpuSeconds(), wall = 0.;
  long peak = 0;
  Clock::time_point start = Clock::now();
  std::vector<double> values, squares;

  void Stop(size_t variations) {
    cpu = CpuSeconds() - cpu;
    wall = std::chrono::duration<double>(Clock::now() - start).count();
    peak = PeakKilobytes();
    for (auto *part : {&values, &squares}) part->resize((1 + variations) * kTable);
  }
};

// ---- as a user writes it ------------------------------------------------------------------------

void Copy(const TH3D &histogram, double *values, double *squares, int category) {
  const auto &sumw2 = *histogram.GetSumw2();
  for (int i = 0; i < kBins; ++i)
    for (int j = 0; j < kBins; ++j) {
      const int bin = histogram.GetBin(category + 1, i + 1, j + 1);
      const int to = category * kPlane + i * kBins + j;
      values[to] = histogram.GetBinContent(bin);
      squares[to] = sumw2.GetSize() ? sumw2[bin] : histogram.GetBinContent(bin);
    }
}

void Vary(RNode df, const Job &job, Output &output) {
  const int n = job.variations;
  const auto factors = std::make_shared<const Factors>(job);
  auto both = [n, factors](double weight, double magnetic, const RVecF &up, const RVecF &down,
                           const RVecF &vuniv, double cv, int cell) {
    RVec<RVecD> varied{RVecD(n, weight), RVecD(n, magnetic)};
    if (!up.empty())
      factors->Each(up, down, vuniv, cv, cell, [&](int v, double factor) {
        varied[0][v] *= factor;
        varied[1][v] *= factor;
      });
    return varied;
  };
  std::vector<std::string> inputs{"weight", "magnetic"};
  for (const auto &name : WeightBranches(job)) inputs.push_back(name);
  inputs.insert(inputs.end(), {"cv", "cell"});
  auto varied = df.Vary({"weight", "magnetic"}, both, inputs, n, "job");
  const ROOT::RDF::TH3DModel model("spectrum", "", kCategories, 0, kCategories, kBins, 0, kTMax, kBins, 0,
                                   kTTheta2Max);
  auto spectrum = varied.Histo3D<int, double, double, double>(model, "category", "recoil", "ttheta2", "weight");
  auto signal = varied.Filter([](int category) { return category == kSignal; }, {"category"})
                    .Define("template", [] { return int(kMagnetic); });
  auto magnetic = signal.Histo3D<int, double, double, double>(model, "template", "recoil", "ttheta2", "magnetic");
  auto spectra = ROOT::RDF::Experimental::VariationsFor(spectrum);
  auto templates = ROOT::RDF::Experimental::VariationsFor(magnetic);
  spectra["nominal"];
  templates["nominal"];
  output.Stop(n);
  for (int v = 0; v <= n; ++v) {
    const std::string key = v ? "job:" + std::to_string(v - 1) : "nominal";
    double *values = &output.values[size_t(v) * kTable], *squares = &output.squares[size_t(v) * kTable];
    for (int c = 0; c < kCategories; ++c) Copy(c == kMagnetic ? templates[key] : spectra[key], values, squares, c);
  }
}

// ---- as an expert writes it ---------------------------------------------------------------------

struct Sums {
  double value = 0., square = 0.;
};

// One row of all variations per bin, one table per thread.
class FusedFill : public ROOT::Detail::RDF::RActionImpl<FusedFill> {
public:
  using Result_t = std::vector<Sums>;

  FusedFill(const Job &job, unsigned slots)
      : fVariations(job.variations), fMaker(job), fResult(std::make_shared<Result_t>()),
        fTables(slots), fFactors(slots, std::vector<double>(1 + job.variations, 1.)) {}
  FusedFill(FusedFill &&) = default;
  FusedFill(const FusedFill &) = delete;

  std::shared_ptr<Result_t> GetResultPtr() const { return fResult; }
  void Initialize() {}
  void InitTask(TTreeReader *, unsigned slot) { fTables[slot].resize(size_t(kTable) * (1 + fVariations)); }
  std::string GetActionName() const { return "FusedFill"; }

  void Exec(unsigned slot, int category, double T, double ttheta2, double weight, double magnetic,
            const RVecF &up, const RVecF &down, const RVecF &vuniv, double cv, int cell) {
    auto &factors = fFactors[slot];
    if (up.empty())
      std::fill(factors.begin(), factors.end(), 1.);
    else
      fMaker.Each(up, down, vuniv, cv, cell, [&](int v, double f) { factors[1 + v] = f; });
    const int bin = int(T / kTMax * kBins) * kBins + int(ttheta2 / kTTheta2Max * kBins);
    Add(slot, category * kPlane + bin, weight);
    if (category == kSignal) Add(slot, kMagnetic * kPlane + bin, magnetic);
  }

  void Finalize() {
    for (auto &table : fTables) {
      if (fResult->empty()) {
        std::swap(*fResult, table);
        continue;
      }
      for (size_t i = 0; i < table.size(); ++i) {
        (*fResult)[i].value += table[i].value;
        (*fResult)[i].square += table[i].square;
      }
    }
  }

private:
  void Add(unsigned slot, int bin, double weight) {
    const double *factors = fFactors[slot].data();
    Sums *row = &fTables[slot][size_t(bin) * (1 + fVariations)];
    for (int v = 0; v <= fVariations; ++v) {
      const double w = weight * factors[v];
      row[v].value += w;
      row[v].square += w * w;
    }
  }

  int fVariations;
  Factors fMaker;
  std::shared_ptr<Result_t> fResult;
  std::vector<Result_t> fTables;
  std::vector<std::vector<double>> fFactors;
};

void Fused(RNode df, const Job &job, Output &output) {
  std::vector<std::string> inputs{"category", "recoil", "ttheta2", "weight", "magnetic"};
  for (const auto &name : WeightBranches(job)) inputs.push_back(name);
  inputs.insert(inputs.end(), {"cv", "cell"});
  auto result = df.Book<int, double, double, double, double, RVecF, RVecF, RVecF, double, int>(
      FusedFill(job, df.GetNSlots()), inputs);
  const auto &sums = *result;
  const size_t n = 1 + job.variations;
  output.Stop(job.variations);
  for (size_t bin = 0; bin < kTable && !sums.empty(); ++bin)
    for (size_t v = 0; v < n; ++v) {
      output.values[v * kTable + bin] = sums[bin * n + v].value;
      output.squares[v * kTable + bin] = sums[bin * n + v].square;
    }
}

Output Run(const Job &job, const std::string &input) {
  Output output;
  ROOT::RDataFrame df("recTree", input);
  auto selected = Select(df);
  job.mode == "vary" ? Vary(selected, job, output) : Fused(selected, job, output);
  return output;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 8) {
    std::cerr << "usage: rdataframe vary|fused INPUT WARM_UP VARIATIONS UNIVERSES THREADS OUTPUT\n";
    return 2;
  }
  const Job job{argv[1], argv[2], argv[7], std::stoi(argv[4]), std::stoi(argv[5])};
  TH1::AddDirectory(false);
  if (const int threads = std::stoi(argv[6]); threads > 1) ROOT::EnableImplicitMT(threads);
  Run(job, argv[3]);
  const Output output = Run(job, job.input);
  std::printf("{\"cpu\": %.6f, \"wall\": %.6f, \"peak_kb\": %ld}\n", output.cpu, output.wall, output.peak);
  std::ofstream file(job.output, std::ios::binary);
  for (const auto *part : {&output.values, &output.squares})
    file.write(reinterpret_cast<const char *>(part->data()), part->size() * sizeof(double));
  return file ? 0 : 1;
}

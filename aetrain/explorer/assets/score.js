// How badly the model explains an image: aetrain/evaluation/scores.py.
const DRAWS = 8;

const softplus = a => a > 0 ? a + Math.log1p(Math.exp(-a)) : Math.log1p(Math.exp(a));

// log C(p) of the continuous Bernoulli, of a logit.
function logNormalizer(a) {
  a = Math.abs(a);
  if (a < 0.1) return Math.LN2 + a * a * (1 / 12 - a * a * 7 / 1440);
  return Math.log(a) - Math.log(-Math.expm1(-a)) + Math.log1p(Math.exp(-a));
}

// −log of the probability of a pixel's level, one of 256, under a discretized logistic.
function levelCost(x, location, scale) {
  const half = 0.5 / 255, lowest = x < half, highest = x > 1 - half;
  return (highest ? 0 : softplus((location - x - half) / scale)) + (lowest ? 0 : softplus((x - half - location) / scale))
    - (lowest || highest ? 0 : Math.log(-Math.expm1(-2 * half / scale)));
}

// The reconstruction term of x, given what the decoder says: nats, or squared pixel units.
function reconstruction(x, out, m = model) {
  let sum = 0;
  if (m.likelihood === "bernoulli" || m.likelihood === "continuous_bernoulli") {
    for (let i = 0; i < x.length; i++) sum += softplus(out[i]) - x[i] * out[i];
    if (m.likelihood === "continuous_bernoulli") for (const a of out) sum -= logNormalizer(a);
    return sum;
  }
  const mean = linked(out, m), area = x.length / m.shape[0];
  const spread = i => m.spread[m.spread.length > 1 ? Math.floor(i / area) : 0];
  const density = {
    squared_error: i => (mean[i] - x[i]) ** 2,
    gaussian: i => 0.5 * ((mean[i] - x[i]) / spread(i)) ** 2 + Math.log(spread(i)) + 0.5 * Math.log(2 * Math.PI),
    discretized_logistic: i => levelCost(x[i], mean[i], spread(i)),
  }[m.likelihood];
  for (let i = 0; i < x.length; i++) sum += density(i);
  return sum;
}

const kl = (mu, logvar) => mu.map((m, d) => 0.5 * (m * m + Math.exp(logvar[d]) - 1 - logvar[d]));

// log N(value; mu, e^logvar).
const logNormal = (value, mu, logvar) => -0.5 * (Math.log(2 * Math.PI) + logvar + (value - mu) ** 2 * Math.exp(-logvar));

// log p(z) of a learned prior, a mixture of Gaussians.
function logPrior(z, { logWeights, mu, logvar }) {
  const parts = Array.from(logWeights, (sum, k) => {
    z.forEach((value, d) => { sum += logNormal(value, mu[k * z.length + d], logvar[k * z.length + d]); });
    return sum;
  });
  const most = Math.max(...parts);
  return most + Math.log(parts.reduce((sum, part) => sum + Math.exp(part - most), 0));
}

// KL(q ‖ p) in nats: in closed form from the standard normal prior, of another one log q(z) − log p(z) at a draw z of q.
function divergence(mu, logvar, z, m = model) {
  const sum = values => values.reduce((a, b) => a + b, 0);
  if (!m.prior.components) return sum(kl(mu, logvar));
  return sum(z.map((value, d) => logNormal(value, mu[d], logvar[d]))) - logPrior(z, m.prior.components);
}

// −ELBO, its expectation by draws from a fixed seed; recon for a model without one.
function score(x, m = model) {
  const { mu, logvar } = posterior(x, state.label, m), recon = z => reconstruction(x, decoded(z, state.label, m), m);
  if (!m.hasElbo) return recon(mu);
  const random = uniform(1);
  let sum = 0;
  for (let k = 0; k < DRAWS; k++) {
    const z = mu.map((m, d) => m + Math.exp(0.5 * logvar[d]) * normal(random));
    sum += recon(z) + divergence(mu, logvar, z, m);
  }
  return sum / DRAWS;
}

const scoreName = (m = model) => m.hasElbo ? "−ELBO" : m.likelihood === "squared_error" ? "squared error" : "recon";
const scoreUnit = (m = model) => m.likelihood === "squared_error" ? "" : " nats";

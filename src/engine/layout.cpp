#include "engine/layout.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "base/error.hpp"

namespace hydrajob {
namespace {

constexpr std::int32_t nobody = -1;

std::int64_t length_of(const std::vector<std::int32_t>& tokens) {
  return static_cast<std::int64_t>(tokens.size());
}

// What the tree's shape says of a node.
struct NodePlace {
  std::int64_t position = 0;   // of its first token
  std::int64_t slot = 0;       // of its first token in the cache
  std::int64_t row_begin = 0;  // rows of decode below it
  std::int64_t row_end = 0;
  int depth = 0;
  std::int32_t logits_row = nobody;
};

// A run of tokens to be computed: a node's, or a sequence's prompt.
struct Stream {
  const std::vector<std::int32_t>* tokens = nullptr;
  std::int64_t position = 0;    // of its first token
  std::int64_t own_first = 0;   // its range in the cache
  std::int64_t own_before = 0;  // tokens that already stand in its range
  int parent = -1;              // node whose chain it sees as segments; -1: none
  std::int32_t logits_row = nobody;
  std::int64_t begin = 0;  // first token that is computed: those before stand in the cache
};

class Builder {
 public:
  Builder(const Batch& batch, const LayoutRequest& request) : batch_(batch), request_(request) {}

  BatchLayout build() {
    check();
    order();
    place();
    assign_logits_rows();
    prefill_tree();
    layout_.prompts_begin = layout_.prefill.size();
    prefill_prompts();
    decode();
    return std::move(layout_);
  }

 private:
  void check() const {
    if (batch_.new_tokens < 1)
      throw UsageError("new_tokens " + std::to_string(batch_.new_tokens) + ": expected 1 or more");
    if (request_.prefill_chunk < 1) {
      throw UsageError("prefill_chunk " + std::to_string(request_.prefill_chunk) + ": expected 1 or more");
    }
    for (std::size_t i = 0; i < batch_.nodes.size(); ++i) {
      const int parent = batch_.nodes[i].parent;
      if (parent < -1 || parent >= static_cast<int>(i)) {
        throw UsageError("tree node " + std::to_string(i) + ": its parent " + std::to_string(parent) +
                         " does not stand before it");
      }
    }
    for (const Sequence& sequence : batch_.sequences) {
      if (sequence.node < -1 || sequence.node >= static_cast<int>(batch_.nodes.size())) {
        throw UsageError("a sequence continues tree node " + std::to_string(sequence.node) +
                         ", which does not exist");
      }
    }
  }

  // Depth-first: the sequences below any node become consecutive rows.
  void order() {
    const std::size_t n = batch_.nodes.size();
    nodes_.resize(n);
    children_.resize(n + 1);
    hanging_.resize(n + 1);
    for (std::size_t i = 0; i < n; ++i) {
      const int parent = batch_.nodes[i].parent;
      children_[parent + 1].push_back(static_cast<int>(i));
      nodes_[i].depth = parent < 0 ? 0 : nodes_[parent].depth + 1;
      nodes_[i].position = parent < 0 ? 0 : end_position(parent);
    }
    for (std::size_t s = 0; s < batch_.sequences.size(); ++s) {
      hanging_[batch_.sequences[s].node + 1].push_back(static_cast<std::int32_t>(s));
    }
    visit(-1);
  }

  void visit(int node) {  // as deep as the tree, whose depth is small
    if (node >= 0) {
      nodes_[node].row_begin = static_cast<std::int64_t>(layout_.sequence.size());
      depth_first_.push_back(node);
    }
    for (const std::int32_t s : hanging_[node + 1]) layout_.sequence.push_back(s);
    for (const int child : children_[node + 1]) visit(child);
    if (node >= 0) nodes_[node].row_end = static_cast<std::int64_t>(layout_.sequence.size());
  }

  void place() {
    for (const int node : depth_first_) {
      nodes_[node].slot = layout_.cache_tokens;
      layout_.cache_tokens += length_of(batch_.nodes[node].tokens);
    }
    for (const std::int32_t s : layout_.sequence) {
      own_first_.push_back(layout_.cache_tokens);
      const std::int64_t unique = length_of(prompt(s)) + batch_.new_tokens;
      layout_.cache_tokens += copied(s) + unique;
      layout_.positions = std::max(layout_.positions, path_length(s) + unique);
      if (request_.copy_path) copy_path(s, own_first_.back());
    }
  }

  void copy_path(std::int32_t s, std::int64_t own_first) {
    for (int node = batch_.sequences[s].node; node >= 0; node = batch_.nodes[node].parent) {
      const std::int64_t n = length_of(batch_.nodes[node].tokens);
      if (n > 0) layout_.copies.push_back({nodes_[node].slot, own_first + nodes_[node].position, n});
    }
  }

  // A sequence's first token is drawn from the logits of the last token before it: of its prompt, or of the
  // nearest node above that has any; sequences of one node share the row.
  void assign_logits_rows() {
    for (const std::int32_t s : layout_.sequence) {
      if (!prompt(s).empty()) {
        layout_.logits_row.push_back(static_cast<std::int32_t>(layout_.n_logits_rows++));
        continue;
      }
      int node = batch_.sequences[s].node;
      while (node >= 0 && batch_.nodes[node].tokens.empty()) node = batch_.nodes[node].parent;
      if (node < 0) throw UsageError("sequence " + std::to_string(s) + " has no token to continue");
      if (nodes_[node].logits_row == nobody) {
        nodes_[node].logits_row = static_cast<std::int32_t>(layout_.n_logits_rows++);
      }
      layout_.logits_row.push_back(nodes_[node].logits_row);
    }
  }

  void prefill_tree() {
    int deepest = -1;
    for (const NodePlace& node : nodes_) deepest = std::max(deepest, node.depth);
    for (int depth = 0; depth <= deepest; ++depth) {
      std::vector<Stream> streams;
      for (const int node : depth_first_) {
        const NodePlace& place = nodes_[node];
        if (place.depth != depth || batch_.nodes[node].tokens.empty()) continue;
        const bool is_kept = static_cast<std::size_t>(node) < request_.kept_nodes;
        if (is_kept && place.logits_row == nobody) continue;
        Stream stream{&batch_.nodes[node].tokens, place.position,  place.slot, 0,
                      batch_.nodes[node].parent,  place.logits_row};
        if (is_kept) stream.begin = length_of(*stream.tokens) - 1;
        streams.push_back(stream);
      }
      add_passes(streams);
    }
  }

  void prefill_prompts() {
    std::vector<Stream> streams;
    for (std::size_t row = 0; row < layout_.sequence.size(); ++row) {
      const std::int32_t s = layout_.sequence[row];
      if (prompt(s).empty()) continue;
      const int parent = request_.copy_path ? -1 : batch_.sequences[s].node;
      streams.push_back(
          {&prompt(s), path_length(s), own_first_[row], copied(s), parent, layout_.logits_row[row]});
    }
    add_passes(streams);
  }

  // Cuts the rows of streams, one after another, into passes of at most prefill_chunk rows.
  void add_passes(const std::vector<Stream>& streams) {
    Pass pass;
    for (const Stream& stream : streams) {
      const std::int64_t n = length_of(*stream.tokens);
      for (std::int64_t begin = stream.begin; begin < n;) {
        const std::int64_t end = std::min(n, begin + request_.prefill_chunk - pass.n_rows());
        add_slice(pass, stream, begin, end);
        begin = end;
        if (pass.n_rows() == request_.prefill_chunk) finish(pass);
      }
    }
    if (pass.n_rows() > 0) finish(pass);
  }

  void finish(Pass& pass) {
    pass.stream_row.push_back(pass.n_rows());
    layout_.prefill.push_back(std::move(pass));
    pass = Pass{};
    open_segments_.clear();
  }

  void add_slice(Pass& pass, const Stream& stream, std::int64_t begin, std::int64_t end) {
    const std::int64_t first_row = pass.n_rows();
    pass.stream_row.push_back(first_row);
    pass.own_first.push_back(stream.own_first);
    pass.own_length.push_back(static_cast<std::int32_t>(stream.own_before + end));
    for (std::int64_t t = begin; t < end; ++t) {
      pass.ids.push_back((*stream.tokens)[t]);
      pass.positions.push_back(static_cast<std::int32_t>(stream.position + t));
      pass.slots.push_back(stream.own_first + stream.own_before + t);
    }
    for (int node = stream.parent; node >= 0; node = batch_.nodes[node].parent) {
      add_segment(pass, node, first_row, pass.n_rows());
    }
    const bool last = end == length_of(*stream.tokens);
    if (last && stream.logits_row != nobody) pass.wanted.push_back({pass.n_rows() - 1, stream.logits_row});
  }

  void add_segment(Pass& pass, int node, std::int64_t row_begin, std::int64_t row_end) {
    const std::int64_t n = length_of(batch_.nodes[node].tokens);
    if (n == 0 || row_begin == row_end) return;
    const auto open = open_segments_.find(node);
    if (open != open_segments_.end()) {
      pass.segment_row_end[open->second] = row_end;
      return;
    }
    open_segments_[node] = pass.segment_first.size();
    pass.segment_first.push_back(nodes_[node].slot);
    pass.segment_length.push_back(static_cast<std::int32_t>(n));
    pass.segment_row_begin.push_back(row_begin);
    pass.segment_row_end.push_back(row_end);
  }

  void decode() {
    Pass& pass = layout_.decode;
    const auto rows = static_cast<std::int64_t>(layout_.sequence.size());
    pass.ids.assign(rows, 0);
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int32_t s = layout_.sequence[row];
      const std::int64_t before = copied(s) + length_of(prompt(s));
      pass.positions.push_back(static_cast<std::int32_t>(path_length(s) + length_of(prompt(s))));
      pass.slots.push_back(own_first_[row] + before);
      pass.stream_row.push_back(row);
      pass.own_first.push_back(own_first_[row]);
      pass.own_length.push_back(static_cast<std::int32_t>(before + 1));
    }
    pass.stream_row.push_back(rows);
    if (request_.copy_path) return;
    for (const int node : depth_first_) add_segment(pass, node, nodes_[node].row_begin, nodes_[node].row_end);
  }

  const std::vector<std::int32_t>& prompt(std::int32_t s) const { return batch_.sequences[s].prompt; }
  std::int64_t end_position(int node) const {
    return nodes_[node].position + length_of(batch_.nodes[node].tokens);
  }
  std::int64_t path_length(std::int32_t s) const {
    const int node = batch_.sequences[s].node;
    return node < 0 ? 0 : end_position(node);
  }
  std::int64_t copied(std::int32_t s) const { return request_.copy_path ? path_length(s) : 0; }

  const Batch& batch_;
  const LayoutRequest request_;
  BatchLayout layout_;
  std::vector<NodePlace> nodes_;                    // by node
  std::vector<std::vector<int>> children_;          // by node + 1; the first holds the roots
  std::vector<std::vector<std::int32_t>> hanging_;  // sequences by node + 1
  std::vector<int> depth_first_;                    // nodes
  std::vector<std::int64_t> own_first_;             // by row of decode
  std::map<int, std::size_t> open_segments_;        // node -> its segment in the pass being built
};

// Then places in the cache follow the nodes' own order.
bool in_depth_first_order(const Batch& batch) {
  std::vector<int> way;  // from a root to the last node
  for (std::size_t i = 0; i < batch.nodes.size(); ++i) {
    while (!way.empty() && way.back() != batch.nodes[i].parent) way.pop_back();
    if (way.empty() && batch.nodes[i].parent >= 0) return false;
    way.push_back(static_cast<int>(i));
  }
  return true;
}

}  // namespace

std::size_t same_leading_nodes(const Batch& a, const Batch& b) {
  if (!in_depth_first_order(a) || !in_depth_first_order(b)) return 0;
  const std::size_t most = std::min(a.nodes.size(), b.nodes.size());
  std::size_t n = 0;
  while (n < most && a.nodes[n].parent == b.nodes[n].parent && a.nodes[n].tokens == b.nodes[n].tokens) ++n;
  return n;
}

BatchLayout make_layout(const Batch& batch, const LayoutRequest& request) {
  return Builder(batch, request).build();
}

}  // namespace hydrajob
